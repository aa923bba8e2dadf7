//! What LLD writes of a program's sections.

/// A section of code, which the linker places as a whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its place in the program in bytes.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// A symbol in it.
    pub symbol: &'a str,
}

/// Sections with more code than one function has: to have all of it moved would gain nothing.
const MOST_BYTES: u64 = 64 << 10;

/// The sections of code in `map`, by their places.
pub fn sections(map: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut lines = map.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((start, size, what)) = fields(line) else {
            continue;
        };
        let Some((_, name)) = what.rsplit_once(":(.text") else {
            continue;
        };
        // Code of Rust has a section for each function, named after it; other code is known
        // by its first symbol, which the next line has.
        let symbol = match name.trim_end_matches(')').strip_prefix('.') {
            Some(symbol) => Some(without_kind(symbol)),
            None => lines
                .peek()
                .and_then(|next| fields(next))
                .map(|next| next.2),
        };
        if let Some(symbol) = symbol
            && size <= MOST_BYTES
        {
            sections.push(Section {
                start,
                size,
                symbol,
            });
        }
    }
    sections.sort_unstable_by_key(|section| section.start);
    sections
}

/// The section in which the byte at `offset` is.
pub fn containing<'a, 'b>(sections: &'a [Section<'b>], offset: u64) -> Option<&'a Section<'b>> {
    let after = sections.partition_point(|section| section.start <= offset);
    let section = sections.get(after.checked_sub(1)?)?;
    (offset - section.start < section.size).then_some(section)
}

/// A line's address, size and last column.
fn fields(line: &str) -> Option<(u64, u64, &str)> {
    let mut rest = line;
    let mut next = || {
        let trimmed = rest.trim_start();
        let (word, after) = trimmed.split_once(' ')?;
        rest = after;
        Some(word)
    };
    let start = u64::from_str_radix(next()?, 16).ok()?;
    let _load_address = next()?;
    let size = u64::from_str_radix(next()?, 16).ok()?;
    let _alignment = next()?;
    Some((start, size, rest.trim_start()))
}

/// Compilers put functions that they believe to be cold, or to run once, into sections of
/// another kind.
fn without_kind(symbol: &str) -> &str {
    ["unlikely.", "startup.", "exit.", "hot."]
        .iter()
        .find_map(|kind| symbol.strip_prefix(kind))
        .unwrap_or(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
             VMA              LMA     Size Align Out     In      Symbol
            1000             1000       b0    64 .text
            1000             1000       22    16         /usr/lib/rcrt1.o:(.text)
            1000             1000       22     1                 _start
            1030             1030       10     4         /t/deps/runtime.o:(.text._ZN4mainE)
            1030             1030       10     1                 crate::main
            1040             1040       20    16         /t/libc.a(exit.o):(.text.unlikely.abort)
            2000             2000       10     4         /t/deps/runtime.o:(.rodata.text)
";

    #[test]
    fn functions_are_found_by_their_place() {
        let sections = sections(MAP);
        let symbols: Vec<_> = sections.iter().map(|section| section.symbol).collect();
        assert_eq!(symbols, ["_start", "_ZN4mainE", "abort"]);
        let at = |offset| containing(&sections, offset).map(|section| section.symbol);
        assert_eq!(at(0xfff), None);
        assert_eq!(at(0x1021), Some("_start"));
        assert_eq!(at(0x1022), None);
        assert_eq!(at(0x105f), Some("abort"));
        assert_eq!(at(0x1060), None);
    }
}

//! Counting lines of code.

use std::{fs, io, path::Path};

/// Lines of code in the Rust files below a folder, without tests.
///
/// # Errors
///
/// When a file cannot be read.
pub fn lines_below(folder: &Path) -> io::Result<usize> {
    let mut lines = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            lines += lines_below(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lines += lines_of_code(&fs::read_to_string(&path)?);
        }
    }
    Ok(lines)
}

/// Lines of a Rust file that are neither empty nor comments nor tests, which come last.
pub fn lines_of_code(source: &str) -> usize {
    let mut lines = source.lines().map(str::trim).peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line.starts_with("#[cfg(") && line.contains("test") {
            match lines.peek() {
                // The rest of the file.
                Some(next) if next.starts_with("mod ") && next.ends_with('{') => break,
                Some(next) if next.starts_with("mod ") => {
                    lines.next();
                    continue;
                }
                _ => {}
            }
        }
        count += usize::from(!line.is_empty() && !line.starts_with("//"));
    }
    count
}

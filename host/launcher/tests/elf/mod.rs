//! Static-PIE files of the tests' own programs.

/// Where the contents lie in the file, and where the program is entered.
const CONTENTS: u64 = 0x1000;

/// Part of the contents with an access of its own: 5 is code, 6 is data.
pub struct Part {
    pub access: u8,
    pub size: u64,
}

/// A file of headers and `contents`, which consist of `parts` one behind the other. A page of the file that two
/// parts have is mapped for each, as linkers have it.
pub fn static_pie(contents: &[u8], parts: &[Part]) -> Vec<u8> {
    const READ: u8 = 4;
    const PAGE: u64 = 0x1000;
    const FILE_HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    let count = 1 + parts.len();
    let mut file = vec![0; CONTENTS as usize];
    let mut put = |offset: usize, bytes: &[u8]| {
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, b"\x7fELF\x02\x01\x01");
    // ET_DYN for x86-64.
    put(16, &[3, 0, 62, 0, 1]);
    put(24, &CONTENTS.to_le_bytes());
    put(32, &(FILE_HEADER as u64).to_le_bytes());
    put(52, &[64, 0, 56, 0, count as u8, 0, 64]);
    let headers = (READ, 0, 0, (FILE_HEADER + count * PROGRAM_HEADER) as u64);
    let (mut end, mut shift) = (CONTENTS, 0);
    let parts = parts.iter().map(|part| {
        let start = end;
        end += part.size;
        if !start.is_multiple_of(PAGE) {
            shift += PAGE;
        }
        (part.access, start, start + shift, part.size)
    });
    for (index, (access, offset, address, size)) in [headers].into_iter().chain(parts).enumerate() {
        let at = FILE_HEADER + PROGRAM_HEADER * index;
        put(at, &[1, 0, 0, 0, access]);
        put(at + 8, &offset.to_le_bytes());
        put(at + 16, &address.to_le_bytes());
        put(at + 32, &size.to_le_bytes());
        put(at + 40, &size.to_le_bytes());
    }
    file.extend(contents);
    file
}

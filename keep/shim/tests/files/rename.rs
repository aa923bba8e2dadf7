//! Renaming.

use enarx_keep_shim::Error;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::O_RDONLY;

use crate::both::{Both, HERE, error};
use crate::isolation::isolated;

fn rename(both: &mut Both, from: &str, to: &str) -> i64 {
    let from = both.memory.string(0, from.as_bytes());
    let to = both.memory.string(1, to.as_bytes());
    both.must(linux::__NR_renameat, [HERE, from, HERE, to])
}

fn content(both: &mut Both, path: &str) -> Vec<u8> {
    let file = both.open(path, O_RDONLY);
    let content = both.read(file, 100).unwrap();
    both.close(file);
    content
}

#[test]
fn a_moved_directory_has_another_parent() {
    isolated(|both| {
        for path in ["a", "a/b", "a/b/c", "z"] {
            both.at_path(linux::__NR_mkdir, path, 0o755);
        }
        let deep = both.open("a/b/c", O_RDONLY) as u64;
        assert_eq!(rename(both, "/a/b", "/z/y"), 0);
        both.make_file("z/y/f", b"moved");
        let file = both.open_at(deep, "../f", O_RDONLY, 0);
        assert_eq!(both.read(file, 10), Ok(b"moved".to_vec()));
        assert_eq!(rename(both, "z", "z/y/c/new"), error(Error::EINVAL));
        assert_eq!(rename(both, "z/y", "z"), error(Error::ENOTEMPTY));
        assert_eq!(rename(both, "/z/y/c", "/a"), 0);
        assert_eq!(
            both.open_at(deep, "../f", O_RDONLY, 0),
            error(Error::ENOENT)
        );
        both.compare_all();
    });
}

#[test]
fn what_is_replaced_is_gone() {
    isolated(|both| {
        both.make_file("old", b"old");
        both.make_file("new", b"new");
        let open = both.open("new", O_RDONLY);
        assert_eq!(rename(both, "old", "new"), 0);
        assert_eq!(content(both, "new"), b"old");
        assert_eq!(both.read(open, 10), Ok(b"new".to_vec()));
        assert_eq!(rename(both, "new", "other"), 0);
        let (from, to) = (
            both.memory.string(0, b"other"),
            both.memory.string(1, b"same"),
        );
        assert_eq!(both.must(linux::__NR_linkat, [HERE, from, HERE, to, 0]), 0);
        assert_eq!(rename(both, "other", "same"), 0);
        assert_eq!(content(both, "other"), b"old");
        both.compare_all();
    });
}

//! Renaming.

use enarx_keep_shim::Error;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{O_RDONLY, RENAME_EXCHANGE, RENAME_NOREPLACE};

use crate::both::{Both, HERE, error};
use crate::isolation::isolated;

fn rename(both: &mut Both, from: &str, to: &str, flags: u32) -> i64 {
    let from = both.memory.string(0, from.as_bytes());
    let to = both.memory.string(1, to.as_bytes());
    both.must(linux::__NR_renameat2, [HERE, from, HERE, to, flags.into()])
}

fn content(both: &mut Both, path: &str) -> Vec<u8> {
    let file = both.open(path, O_RDONLY);
    let content = both.read(file, 100).unwrap();
    both.close(file);
    content
}

#[test]
fn exchanged_names_lead_to_each_others_nodes() {
    isolated(|both| {
        for path in ["d", "d/sub", "e"] {
            both.at_path(linux::__NR_mkdir, path, 0o755);
        }
        both.make_file("d/sub/f", b"deep");
        both.make_file("f", b"flat");
        assert_eq!(rename(both, "d/sub", "f", RENAME_EXCHANGE), 0);
        assert_eq!(content(both, "f/f"), b"deep");
        assert_eq!(content(both, "d/sub"), b"flat");
        let buffer = both.memory.buffer();
        for path in ["/", "d", "f", "e"] {
            assert_eq!(both.at_path(linux::__NR_stat, path, buffer), 0);
        }
        assert_eq!(rename(both, "f", "e", RENAME_EXCHANGE), 0);
        assert_eq!(content(both, "e/f"), b"deep");
        assert_eq!(
            rename(both, "e", "e/f", RENAME_EXCHANGE),
            error(Error::EINVAL)
        );
        assert_eq!(
            rename(both, "e/f", "e", RENAME_EXCHANGE),
            error(Error::EINVAL)
        );
        assert_eq!(
            rename(both, "e", "none", RENAME_EXCHANGE),
            error(Error::ENOENT)
        );
        assert_eq!(rename(both, "e", "e", RENAME_EXCHANGE), 0);
        both.compare_all();
    });
}

#[test]
fn a_moved_directory_has_another_parent() {
    isolated(|both| {
        for path in ["a", "a/b", "a/b/c", "z"] {
            both.at_path(linux::__NR_mkdir, path, 0o755);
        }
        assert_eq!(both.at_path(linux::__NR_chdir, "a/b/c", 0), 0);
        assert_eq!(rename(both, "/a/b", "/z/y", 0), 0);
        let buffer = both.memory.buffer();
        assert_eq!(both.must(linux::__NR_getcwd, [buffer, 100]), 7);
        assert_eq!(both.memory.filled(7), b"/z/y/c\0");
        assert_eq!(rename(both, "../../../z", "new", 0), error(Error::EINVAL));
        assert_eq!(rename(both, "/a", "../../../z", 0), error(Error::ENOTEMPTY));
        assert_eq!(rename(both, "/z/y/c", "/a", 0), 0);
        assert_eq!(both.must(linux::__NR_getcwd, [buffer, 100]), 3);
        both.compare_all();
    });
}

#[test]
fn what_is_replaced_is_gone_unless_that_is_forbidden() {
    isolated(|both| {
        both.make_file("old", b"old");
        both.make_file("new", b"new");
        let open = both.open("new", O_RDONLY);
        assert_eq!(
            rename(both, "old", "new", RENAME_NOREPLACE),
            error(Error::EEXIST)
        );
        assert_eq!(rename(both, "old", "new", 0), 0);
        assert_eq!(content(both, "new"), b"old");
        assert_eq!(both.read(open, 10), Ok(b"new".to_vec()));
        assert_eq!(rename(both, "new", "other", RENAME_NOREPLACE), 0);
        assert_eq!(both.at_paths(linux::__NR_link, "other", "same"), 0);
        assert_eq!(rename(both, "other", "same", 0), 0);
        assert_eq!(content(both, "other"), b"old");
        both.compare_all();
    });
}

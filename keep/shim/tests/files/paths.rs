//! Where paths lead, and where they must not.

use enarx_keep_shim::Error;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV,
};

use crate::both::{Both, error};
use crate::isolation::isolated;

/// A directory with links that lead everywhere, and what is outside of it.
fn with_links(both: &mut Both) -> u64 {
    for path in ["in", "in/deep", "out"] {
        both.at_path(linux::__NR_mkdir, path, 0o755);
    }
    both.make_file("in/deep/f", b"inside");
    both.make_file("out/f", b"outside");
    for (target, path) in [
        ("deep/f", "in/down"),
        ("../in/deep/f", "in/around"),
        ("../out/f", "in/up"),
        ("/out/f", "in/absolute"),
        ("/deep/f", "in/rooted"),
        ("/", "in/root"),
        ("..", "in/deep/parent"),
        ("loop", "in/loop"),
    ] {
        assert_eq!(both.link(target, path), 0);
    }
    both.open("in", O_PATH | O_DIRECTORY) as u64
}

fn opens(both: &mut Both, directory: u64, path: &str, resolve: u32) -> Result<Vec<u8>, Error> {
    let file = both.open_how(directory, path, O_RDONLY, resolve);
    if file < 0 {
        return Err(Error::from_answer(file));
    }
    let content = both.read(file, 100);
    both.close(file);
    content.map_err(Error::from_answer)
}

#[test]
fn beneath_leads_nowhere_else() {
    isolated(|both| {
        let directory = with_links(both);
        for path in ["deep/f", "down", "deep/parent/down", "deep/../deep/f"] {
            assert_eq!(
                opens(both, directory, path, RESOLVE_BENEATH),
                Ok(b"inside".to_vec())
            );
        }
        for path in [
            "..",
            "../in/deep/f",
            "around",
            "up",
            "absolute",
            "root",
            "/in/deep/f",
        ] {
            assert_eq!(
                opens(both, directory, path, RESOLVE_BENEATH),
                Err(Error::EXDEV)
            );
        }
        assert_eq!(
            opens(both, directory, "deep/../../out/f", RESOLVE_BENEATH),
            Err(Error::EXDEV)
        );
        assert_eq!(
            opens(both, directory, "loop", RESOLVE_BENEATH),
            Err(Error::ELOOP)
        );
        assert_eq!(
            opens(both, directory, "deep/none", RESOLVE_BENEATH),
            Err(Error::ENOENT)
        );
    });
}

#[test]
fn rules_that_nothing_here_breaks_change_nothing() {
    isolated(|both| {
        let directory = with_links(both);
        let rules = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
        for path in ["down", "around", "/in/down"] {
            assert_eq!(opens(both, directory, path, rules), Ok(b"inside".to_vec()));
        }
        assert_eq!(opens(both, directory, "down", 1 << 10), Err(Error::EINVAL));
        let strange = O_PATH | O_CREAT;
        assert_eq!(
            both.open_how(directory, "down", strange, 0),
            error(Error::EINVAL)
        );
    });
}

#[test]
fn forty_links_can_be_followed_and_no_more() {
    isolated(|both| {
        both.make_file("l0", b"");
        for link in 1..=41 {
            let (target, path) = (format!("l{}", link - 1), format!("l{link}"));
            both.link(&target, &path);
        }
        assert!(both.open("l40", O_RDONLY) > 0);
        assert_eq!(both.open("l41", O_RDONLY), error(Error::ELOOP));
        // Each is a directory's link, and the last of another's target.
        both.at_path(linux::__NR_mkdir, "d0", 0o755);
        both.make_file("d0/f", b"");
        for link in 1..=41 {
            let (target, path) = (format!("./d{}/.", link - 1), format!("d{link}"));
            both.link(&target, &path);
        }
        assert!(both.open("d40/f", O_RDONLY) > 0);
        assert_eq!(both.open("d41/f", O_RDONLY), error(Error::ELOOP));
        assert!(both.open("d20/../d20/f", O_RDONLY) > 0);
        assert_eq!(both.open("d20/../d21/f", O_RDONLY), error(Error::ELOOP));
    });
}

#[test]
fn names_and_paths_have_limits() {
    isolated(|both| {
        let longest = "n".repeat(255);
        both.make_file(&longest, b"");
        let root = both.open("/", O_RDONLY | O_DIRECTORY) as u64;
        let listed = both.list(root, 280).unwrap();
        assert!(listed.contains_key(longest.as_bytes()));
        let too_long = error(Error::ENAMETOOLONG);
        assert_eq!(both.open(&"n".repeat(256), O_CREAT | O_WRONLY), too_long);
        assert_eq!(
            both.open(&format!("{}f", "./".repeat(2047)), O_RDONLY),
            error(Error::ENOENT)
        );
        assert_eq!(
            both.open(&format!("{}ff", "./".repeat(2047)), O_RDONLY),
            too_long
        );
        assert_eq!(both.link(&"t".repeat(4095), "link"), 0);
        assert_eq!(both.link(&"t".repeat(4096), "other"), too_long);
    });
}

#[test]
fn creating_follows_a_dangling_link_unless_it_is_exclusive() {
    isolated(|both| {
        both.at_path(linux::__NR_mkdir, "d", 0o755);
        both.link("d/new", "link");
        assert_eq!(
            both.open("link", O_CREAT | O_EXCL | O_RDWR),
            error(Error::EEXIST)
        );
        assert_eq!(
            both.open("link", O_CREAT | O_NOFOLLOW | O_RDWR),
            error(Error::ELOOP)
        );
        let created = both.open("link", O_CREAT | O_RDWR);
        assert_eq!(both.write(created, b"x"), 1);
        let found = both.open("d/new", O_RDONLY);
        assert_eq!(both.read(found, 10), Ok(b"x".to_vec()));
    });
}

#[test]
fn nothing_but_files_exists() {
    isolated(|both| {
        for path in [
            "/proc/self/exe",
            "/proc/self/maps",
            "/dev/urandom",
            "/dev/null",
            "/etc/passwd",
        ] {
            assert_eq!(both.open(path, O_RDONLY), error(Error::ENOENT));
        }
    });
}

#[test]
fn older_calls_do_what_the_newer_ones_do() {
    isolated(|both| {
        let buffer = both.memory.buffer();
        assert_eq!(both.at_path(linux::__NR_mkdir, "d", 0o751), 0);
        assert_eq!(both.link("d", "s"), 0);
        let link = both.memory.string(0, b"s");
        assert_eq!(both.must(linux::__NR_readlink, [link, buffer, 100]), 1);
        both.compare_all();
    });
}

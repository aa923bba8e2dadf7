//! The workload's files.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A directory in the Keep's memory that the workload sees as its root.
#[derive(Debug, Clone)]
pub struct FileTree {
    root: PathBuf,
}

impl FileTree {
    /// Makes the directory `root`; `None` where there is no place for one.
    pub fn new(root: &Path) -> Option<Self> {
        // One that is there already holds somebody else's files.
        fs::create_dir(root).ok()?;
        Some(Self {
            root: root.to_owned(),
        })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the file of an absolute, plain path (the manifest's own check) and
    /// the directories above it.
    ///
    /// # Errors
    ///
    /// When it exists already, or the file system refuses.
    pub fn create(&self, path: &str) -> io::Result<File> {
        let path = self.root.join(path.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create_new(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_below_the_root_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("keep");
        let tree = FileTree::new(&root).unwrap();
        tree.create("/a/b/c").unwrap();
        assert!(root.join("a/b/c").is_file());
        assert!(tree.create("/a/b/c").is_err());
        assert!(FileTree::new(&root).is_none());
        assert!(FileTree::new(&directory.path().join("x/y")).is_none());
    }
}

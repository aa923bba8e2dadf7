//! How much code of whose is in the Keep's programs.

use std::{
    collections::BTreeMap,
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    file_name,
    lines::lines_below,
    recipe::{Program, TRIPLE},
};

/// The code behind the Keep's programs.
#[derive(Debug, Default)]
pub struct TrustedCode {
    /// Folders of the workspace, with the programs that have them inside and their lines.
    pub folders: BTreeMap<PathBuf, (Vec<&'static str>, usize)>,
    /// Programs, with the number of crates inside that are others'.
    pub programs: Vec<(Program, usize)>,
}

impl TrustedCode {
    /// Adds the code of a program of the workspace at `workspace`.
    ///
    /// # Errors
    ///
    /// When cargo does not tell the program's dependencies, or a file cannot be read.
    pub fn add(&mut self, program: Program, workspace: &Path) -> io::Result<()> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(workspace)
            .args(["tree", "--locked", "--package", program.package()])
            .args(["--edges", "normal", "--target", TRIPLE])
            .args(["--prefix", "none", "--format", "{p}"])
            .output()?;
        let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        if !output.status.success() {
            return Err(io::Error::other(format!(
                "cargo does not tell what {} is made of: {}",
                program.package(),
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        // One that was listed before is listed again with a mark.
        let mut crates: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .filter(|line| !line.is_empty() && !line.contains("(proc-macro)"))
            .collect();
        crates.sort_unstable();
        crates.dedup();
        let mut others = 0;
        for listed in crates {
            let folder = listed
                .strip_suffix(')')
                .and_then(|listed| listed.split_once(" ("))
                .and_then(|(_, path)| Path::new(path).strip_prefix(workspace).ok());
            let Some(folder) = folder else {
                others += 1;
                continue;
            };
            if !self.folders.contains_key(folder) {
                let lines = lines_below(&workspace.join(folder).join("src"))?;
                self.folders.insert(folder.to_owned(), (Vec::new(), lines));
            }
            if let Some((programs, _)) = self.folders.get_mut(folder) {
                programs.push(program.package());
            }
        }
        self.programs.push((program, others));
        Ok(())
    }

    /// The table as Rust source: two lists of the crate's own types.
    pub fn to_source(&self) -> String {
        let folders: String = self
            .folders
            .iter()
            .map(|(folder, (programs, lines))| {
                format!("TrustedFolder {{ folder: {folder:?}, programs: &{programs:?}, lines: {lines} }},\n")
            })
            .collect();
        let programs: String = self
            .programs
            .iter()
            .map(|(program, others)| {
                let (name, file) = (program.package(), file_name(*program).to_uppercase());
                format!(
                    "TrustedProgram {{ name: {name:?}, file: &{file}, other_crates: {others} }},\n"
                )
            })
            .collect();
        format!(
            "/// The project's folders with code that runs inside Keeps, in the order of their names.\n\
             pub static TRUSTED_FOLDERS: &[TrustedFolder] = &[\n{folders}];\n\
             /// The programs that run inside Keeps.\n\
             pub static TRUSTED_PROGRAMS: &[TrustedProgram] = &[\n{programs}];\n"
        )
    }
}

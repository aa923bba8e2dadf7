//! `enarx measure --trusted-code`: how much code of whose is inside Keeps.

use enarx_host_image::{TRUSTED_FOLDERS, TRUSTED_PROGRAMS};
use enarx_wire_launch::sgx::{EnclaveOptions, EnclavePages};
use serde_json::json;

use crate::{
    console::{Console, Table},
    exit::Status,
    local_host::keep_image,
};

/// Prints the tables.
///
/// # Errors
///
/// When the image is damaged, or standard output fails.
pub fn show(console: &Console, json: bool) -> anyhow::Result<Status> {
    // Neither memory nor threads change the number by more than two pages a thread.
    let pages = EnclavePages::new(&keep_image(), EnclaveOptions::of_keep(1 << 30))?;
    let measured = pages.measured_pages();
    if json {
        let folders: Vec<_> = TRUSTED_FOLDERS
            .iter()
            .map(|folder| {
                json!({
                    "folder": folder.folder,
                    "lines": folder.lines,
                    "programs": folder.programs,
                })
            })
            .collect();
        let programs: Vec<_> = TRUSTED_PROGRAMS
            .iter()
            .map(|program| {
                json!({
                    "name": program.name,
                    "bytes": program.file.len(),
                    "other_crates": program.other_crates,
                })
            })
            .collect();
        console.print_json(&json!({
            "folders": folders,
            "programs": programs,
            "measured_pages": { "sgx": measured },
        }))?;
        return Ok(Status::SUCCESS);
    }
    let mut folders = Table::new(["FOLDER", "LINES", "INSIDE"]);
    for folder in TRUSTED_FOLDERS {
        let programs: Vec<_> = folder.programs.iter().map(|name| short(name)).collect();
        folders.row([
            folder.folder.to_owned(),
            folder.lines.to_string(),
            programs.join(", "),
        ]);
    }
    console.print_table(&folders)?;
    console.print("")?;
    let mut programs = Table::new(["PROGRAM", "BYTES", "OWN LINES", "CRATES OF OTHERS"]);
    for program in TRUSTED_PROGRAMS {
        let inside = TRUSTED_FOLDERS
            .iter()
            .filter(|folder| folder.programs.contains(&program.name));
        programs.row([
            short(program.name).to_owned(),
            program.file.len().to_string(),
            inside.map(|folder| folder.lines).sum::<usize>().to_string(),
            program.other_crates.to_string(),
        ]);
    }
    console.print_table(&programs)?;
    console.print(format_args!(
        "\nan sgx Keep has {measured} pages whose contents are measured; the runtime is verified by the shim"
    ))?;
    Ok(Status::SUCCESS)
}

/// A package's name without the project's.
fn short(package: &str) -> &str {
    package.strip_prefix("enarx-keep-").unwrap_or(package)
}

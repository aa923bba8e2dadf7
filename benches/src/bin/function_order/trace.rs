//! Running a command instruction by instruction (ptrace(2)).

use std::collections::HashMap;
use std::ffi::c_long;
use std::fs;
use std::io;
use std::mem::offset_of;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::ptr;

use anyhow::Context as _;
use libc::pid_t;

use crate::Traced;

/// The places of all instructions of a program that run, by when they first do.
///
/// # Errors
///
/// When the command cannot be run or traced.
pub fn first_executions(of: Traced, command: &[String]) -> anyhow::Result<Vec<u64>> {
    let (program, arguments) = command.split_first().context("no command")?;
    let mut command = Command::new(program);
    // What it prints is not what is wanted here.
    command.args(arguments).stdout(Stdio::null());
    // SAFETY: the closure makes one system call.
    unsafe { command.pre_exec(|| request(libc::PTRACE_TRACEME, 0, 0).map(drop)) };
    // It is collected below, with its children.
    let root = command
        .spawn()
        .with_context(|| format!("cannot run {program}"))?
        .id();
    Tracer {
        of,
        root: pid_t::try_from(root)?,
        programs: HashMap::new(),
        seen: Vec::new(),
        first: Vec::new(),
    }
    .run()
}

struct Tracer {
    of: Traced,
    /// The process of the command.
    root: pid_t,
    /// What each thread runs.
    programs: HashMap<pid_t, Option<Program>>,
    /// Which places of the program were reached.
    seen: Vec<bool>,
    first: Vec<u64>,
}

/// Where the program whose functions are wanted lies in a process.
#[derive(Debug, Clone, Copy)]
struct Program {
    start: u64,
    end: u64,
}

impl Tracer {
    fn run(mut self) -> anyhow::Result<Vec<u64>> {
        let mut status = 0;
        loop {
            // SAFETY: the status is a local variable.
            let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
            if thread < 0 {
                break;
            }
            if !libc::WIFSTOPPED(status) {
                self.programs.remove(&thread);
                continue;
            }
            let signal = self.stopped(thread, status)?;
            let how = match self.programs.get(&thread) {
                Some(Some(_)) => libc::PTRACE_SINGLESTEP,
                _ => libc::PTRACE_CONT,
            };
            // One that was killed meanwhile is heard of above.
            let _ = request(how, thread, signal.into());
        }
        anyhow::ensure!(!self.first.is_empty(), "the program did not run");
        Ok(self.first)
    }

    /// Takes note of why `thread` stopped; gives the signal that it shall have.
    fn stopped(&mut self, thread: pid_t, status: i32) -> anyhow::Result<i32> {
        match status >> 16 {
            0 => {}
            libc::PTRACE_EVENT_EXEC => {
                let program = self.program(thread)?;
                self.programs.insert(thread, program);
                return Ok(0);
            }
            // A new thread or process runs what its maker does.
            _ => {
                let mut made: c_long = 0;
                let place = &raw mut made;
                request(libc::PTRACE_GETEVENTMSG, thread, place as i64)?;
                let program = self.programs.get(&thread).copied().flatten();
                self.programs.insert(pid_t::try_from(made)?, program);
                return Ok(0);
            }
        }
        if thread == self.root && self.programs.is_empty() {
            let events = libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACEFORK
                | libc::PTRACE_O_TRACEVFORK
                | libc::PTRACE_O_TRACEEXEC
                | libc::PTRACE_O_EXITKILL;
            request(libc::PTRACE_SETOPTIONS, thread, events.into())?;
            let program = self.program(thread)?;
            self.programs.insert(thread, program);
        }
        match libc::WSTOPSIG(status) {
            libc::SIGTRAP | libc::SIGSTOP => {
                if let Some(Some(program)) = self.programs.get(&thread).copied() {
                    self.executed(program, instruction_pointer(thread)?);
                }
                Ok(0)
            }
            signal => Ok(signal),
        }
    }

    fn executed(&mut self, program: Program, address: u64) {
        if !(program.start..program.end).contains(&address) {
            return;
        }
        let offset = address - program.start;
        let index = offset as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.seen[index], true) {
            self.first.push(offset);
        }
    }

    /// Where the wanted program lies, if that is what `process` runs.
    fn program(&self, process: pid_t) -> anyhow::Result<Option<Program>> {
        let path: PathBuf = fs::read_link(format!("/proc/{process}/exe"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = match self.of {
            Traced::Command => process == self.root,
            Traced::Runtime => name.starts_with("runtime-"),
        };
        if !wanted {
            return Ok(None);
        }
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let areas = maps.lines().filter(|line| line.ends_with(&*name));
        let ranges = areas.filter_map(|line| line.split(' ').next()?.split_once('-'));
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let mut ranges = ranges.filter_map(|(start, end)| Some((number(start)?, number(end)?)));
        let (start, end) = ranges.next().context("the program is not in its process")?;
        let end = ranges.next_back().map_or(end, |(_, end)| end);
        Ok(Some(Program { start, end }))
    }
}

fn instruction_pointer(thread: pid_t) -> io::Result<u64> {
    let place = offset_of!(libc::user_regs_struct, rip);
    let mut value: u64 = 0;
    // The system call, unlike the C library's function, writes the word to the fourth argument.
    // SAFETY: a local variable of the size that is written.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            libc::c_long::from(libc::PTRACE_PEEKUSER),
            libc::c_long::from(thread),
            place,
            &raw mut value,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}

/// A request whose answer is no word of memory.
fn request(what: libc::c_uint, thread: pid_t, data: i64) -> io::Result<c_long> {
    // SAFETY: `data` is a number, or the address of a variable that lives until the call returns.
    let result = unsafe { libc::ptrace(what, thread, ptr::null_mut::<u8>(), data) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

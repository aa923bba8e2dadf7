//! System-call filters as programs for the kernel.
//!
//! When a filter is installed, the kernel runs it for every system-call number to learn which
//! ones it always allows (`seccomp_cache_prepare` in `kernel/seccomp.c`). A filter that compares one
//! number after the other costs half a millisecond there, a good part of a whole
//! launch. This one is a binary decision tree over ranges of numbers and costs
//! a few microseconds. What remains is that the kernel translates each instruction, so that
//! equal answers share one.

use libc::sock_filter;

/// What the filter answers to one system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The system call's number.
    pub call: i64,
    /// The answer.
    pub answer: Answer,
}

/// An answer to a system call. Calls without a rule get [`Answer::Unknown`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// The call is made.
    Allow,
    /// The call is made if all arguments of one of the alternatives fit, and else does not exist.
    AllowWith(&'static [&'static [Argument]]),
    /// The call does not exist: `ENOSYS`.
    Unknown,
    /// The process is killed.
    Kill,
}

/// A value that an argument must have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    /// Which argument, from zero.
    pub index: u32,
    /// The value.
    pub value: u64,
    /// Whether all 64 bits count, or the low 32 that the kernel looks at.
    pub wide: bool,
}

/// Builds the program that answers by `rules`, each about another call.
pub(super) fn compile(mut rules: Vec<Rule>) -> Vec<sock_filter> {
    rules.sort_unstable_by_key(|rule| rule.call);
    let mut assembler = Assembler::default();
    let decision = assembler.tree(&ranges(&rules));
    let number = assembler.load(NUMBER_OFFSET, decision);
    let kill = assembler.answer(libc::SECCOMP_RET_KILL_PROCESS);
    let architecture = assembler.branch(libc::BPF_JEQ, AUDIT_ARCHITECTURE, number, kill);
    assembler.load(ARCHITECTURE_OFFSET, architecture);
    assembler.finish()
}

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`), in bytes.
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;

/// The machine that this is built for, as `linux/audit.h` numbers it. A call in another
/// machine's convention kills the process: its numbers mean something else.
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCHITECTURE: u32 = 0xC000_00B7;

/// Calls from `first` up to the next range get the same answer.
struct Range {
    first: u32,
    answer: Answer,
}

/// Cuts all numbers into ranges, the first of which begins at zero.
fn ranges(rules: &[Rule]) -> Vec<Range> {
    let mut ranges = vec![Range {
        first: 0,
        answer: Answer::Unknown,
    }];
    let mut begin = |first: u32, answer: Answer| {
        if ranges.last().is_some_and(|last| last.first == first) {
            ranges.pop();
        }
        let continues = ranges.last().is_some_and(|last| {
            matches!(
                (last.answer, answer),
                (Answer::Allow, Answer::Allow)
                    | (Answer::Unknown, Answer::Unknown)
                    | (Answer::Kill, Answer::Kill)
            )
        });
        if !continues {
            ranges.push(Range { first, answer });
        }
    };
    for rule in rules {
        if let Ok(call) = u32::try_from(rule.call) {
            begin(call, rule.answer);
            begin(call + 1, Answer::Unknown);
        }
    }
    ranges
}

/// Writes a program from its end to its beginning, since jumps lead forward only.
#[derive(Default)]
struct Assembler {
    /// The last instruction first.
    backward: Vec<sock_filter>,
    /// The latest place of each answer.
    answers: Vec<(u32, Place)>,
}

/// An instruction, by how many come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

impl Assembler {
    /// Decides between ranges; the number is in the accumulator.
    fn tree(&mut self, ranges: &[Range]) -> Place {
        if let [range] = ranges {
            return self.leaf(range.answer);
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let (above, below) = (self.tree(high), self.tree(low));
        self.branch(libc::BPF_JGE, high[0].first, above, below)
    }

    fn leaf(&mut self, decision: Answer) -> Place {
        let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        match decision {
            Answer::Allow => self.answer(libc::SECCOMP_RET_ALLOW),
            Answer::Kill => self.answer(libc::SECCOMP_RET_KILL_PROCESS),
            Answer::Unknown => self.answer(unknown),
            Answer::AllowWith(alternatives) => {
                let unknown = self.answer(unknown);
                let mut otherwise = unknown;
                for arguments in alternatives.iter().rev() {
                    otherwise = self.alternative(arguments, otherwise);
                }
                otherwise
            }
        }
    }

    /// Allows if all arguments fit, else goes to `otherwise`.
    fn alternative(&mut self, arguments: &[Argument], otherwise: Place) -> Place {
        let mut then = self.answer(libc::SECCOMP_RET_ALLOW);
        for argument in arguments.iter().rev() {
            // Little-endian: the low word comes first.
            let offset = ARGUMENTS_OFFSET + 8 * argument.index;
            if argument.wide {
                let high = (argument.value >> 32) as u32;
                then = self.word(offset + 4, high, then, otherwise);
            }
            then = self.word(offset, argument.value as u32, then, otherwise);
        }
        then
    }

    fn word(&mut self, offset: u32, value: u32, then: Place, otherwise: Place) -> Place {
        let comparison = self.branch(libc::BPF_JEQ, value, then, otherwise);
        self.load(offset, comparison)
    }

    /// Goes to `then` if the accumulator fulfils the condition, and else to `otherwise`.
    fn branch(&mut self, condition: u32, value: u32, then: Place, otherwise: Place) -> Place {
        // Two jumps may come between.
        const REACH: usize = u8::MAX as usize - 2;
        let far = |place: Place, from: &Self| from.distance(place) > REACH;
        let then = if far(then, self) {
            self.jump(then)
        } else {
            then
        };
        let otherwise = if far(otherwise, self) {
            self.jump(otherwise)
        } else {
            otherwise
        };
        let instruction = sock_filter {
            jt: self.distance(then) as u8,
            jf: self.distance(otherwise) as u8,
            ..instruction(libc::BPF_JMP | condition | libc::BPF_K, value)
        };
        self.put(instruction)
    }

    /// Loads a word and goes to `then`.
    fn load(&mut self, offset: u32, then: Place) -> Place {
        if self.distance(then) > 0 {
            self.jump(then);
        }
        self.put(instruction(
            libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
            offset,
        ))
    }

    /// An unconditional jump reaches everything.
    fn jump(&mut self, place: Place) -> Place {
        let distance = self.distance(place) as u32;
        self.put(instruction(libc::BPF_JMP | libc::BPF_JA, distance))
    }

    /// An answer is given again where the last one is out of a conditional jump's reach.
    fn answer(&mut self, value: u32) -> Place {
        let near = |place: &Place| self.distance(*place) < usize::from(u8::MAX) / 2;
        let known = self.answers.iter().find(|(known, _)| *known == value);
        if let Some(place) = known.map(|(_, place)| *place).filter(near) {
            return place;
        }
        let place = self.put(instruction(libc::BPF_RET | libc::BPF_K, value));
        self.answers.retain(|(known, _)| *known != value);
        self.answers.push((value, place));
        place
    }

    fn put(&mut self, instruction: sock_filter) -> Place {
        self.backward.push(instruction);
        Place(self.backward.len() - 1)
    }

    /// How many instructions lie between the next one that is put and `place`.
    fn distance(&self, place: Place) -> usize {
        self.backward.len() - 1 - place.0
    }

    fn finish(self) -> Vec<sock_filter> {
        self.backward.into_iter().rev().collect()
    }
}

fn instruction(code: u32, value: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::{self, Program};
    use super::*;

    const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    /// Runs a program as the kernel would, and counts its steps.
    fn run(program: &[sock_filter], call: u32, arguments: [u64; 6]) -> (u32, usize) {
        let mut data = Vec::new();
        data.extend(call.to_le_bytes());
        data.extend(AUDIT_ARCHITECTURE.to_le_bytes());
        data.extend([0; 8]);
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0);
        for steps in 1.. {
            let step = &program[at];
            at += 1;
            let skip = match u32::from(step.code) {
                0x20 => {
                    let word = &data[step.k as usize..][..4];
                    accumulator = u32::from_le_bytes(word.try_into().unwrap());
                    0
                }
                0x05 => step.k as usize,
                0x15 if accumulator == step.k => step.jt.into(),
                0x35 if accumulator >= step.k => step.jt.into(),
                0x15 | 0x35 => step.jf.into(),
                0x06 => return (step.k, steps),
                other => panic!("instruction {other:#x}"),
            };
            at += skip;
        }
        unreachable!()
    }

    #[test]
    fn the_keeps_filter_answers_every_number_by_its_rule() {
        for kind in [
            Program::Runtime { network: false },
            Program::MachineHost { network: false },
        ] {
            let program = filter::filter(kind);
            let mut longest = 0;
            for call in (0..2000).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                let (found, steps) = run(program, call, [u64::MAX; 6]);
                longest = longest.max(steps);
                let expected = filter::expected(kind, call);
                assert_eq!(found, expected, "{kind:?}: call {call}");
            }
            println!("{} instructions, at most {longest} steps", program.len());
            assert!(longest < 40);
        }
    }

    #[test]
    fn a_machines_process_opens_no_files() {
        let program = filter::filter(Program::MachineHost { network: true });
        for call in [libc::SYS_openat, libc::SYS_open, libc::SYS_unlinkat] {
            let (found, _) = run(program, call as u32, [0; 6]);
            assert_eq!(found, UNKNOWN, "call {call}");
        }
    }

    #[test]
    fn arguments_decide_word_by_word() {
        const ONE: &[Argument] = &[
            Argument {
                index: 0,
                value: 7,
                wide: false,
            },
            Argument {
                index: 2,
                value: 1 << 40,
                wide: true,
            },
        ];
        const OTHER: &[Argument] = &[Argument {
            index: 1,
            value: 9,
            wide: true,
        }];
        let program = compile(vec![Rule {
            call: 5,
            answer: Answer::AllowWith(&[ONE, OTHER]),
        }]);
        let allowed = |arguments| run(&program, 5, arguments).0 == libc::SECCOMP_RET_ALLOW;
        assert!(allowed([7, 0, 1 << 40, 0, 0, 0]));
        assert!(allowed([7 | 1 << 32, 0, 1 << 40, 0, 0, 0]));
        assert!(allowed([0, 9, 0, 0, 0, 0]));
        assert!(!allowed([7, 0, 0, 0, 0, 0]));
        assert!(!allowed([7, 0, 1 << 40 | 1, 0, 0, 0]));
        assert!(!allowed([0, 9 | 1 << 32, 0, 0, 0, 0]));
        assert_eq!(run(&program, 4, [0; 6]).0, UNKNOWN);
        assert_eq!(run(&program, 6, [0; 6]).0, UNKNOWN);
    }

    #[test]
    fn far_jumps_are_reached() {
        const NEVER: &[Argument] = &[Argument {
            index: 0,
            value: 1,
            wide: true,
        }];
        let conditional = (0..200).map(|call| Rule {
            call: 2 * call,
            answer: Answer::AllowWith(&[NEVER]),
        });
        let last = Rule {
            call: 1001,
            answer: Answer::Kill,
        };
        let program = compile(conditional.chain([last]).collect());
        assert_eq!(
            run(&program, 1001, [0; 6]).0,
            libc::SECCOMP_RET_KILL_PROCESS
        );
        assert_eq!(run(&program, 0, [0; 6]).0, UNKNOWN);
        assert_eq!(
            run(&program, 398, [1, 0, 0, 0, 0, 0]).0,
            libc::SECCOMP_RET_ALLOW
        );
    }

    #[test]
    fn another_machines_calls_are_fatal() {
        let program = compile(Vec::new());
        let [load, compare, ..] = program[..] else {
            panic!("{} instructions", program.len());
        };
        assert_eq!(load.k, ARCHITECTURE_OFFSET);
        assert_eq!(compare.k, AUDIT_ARCHITECTURE);
        let otherwise = program[2 + usize::from(compare.jf)];
        assert_eq!(otherwise.k, libc::SECCOMP_RET_KILL_PROCESS);
    }
}

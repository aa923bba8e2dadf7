//! What the Keep asks for, done.

use enarx_wire_hostcall::CHANNEL;
use enarx_wire_hostcall::call::{
    ADDRESS_SIZE, Operation, POLL_ENTRY_SIZE, PollEntry, encode_address,
};

use super::judge::search;
use super::{Answer, Call, EENTER, Ending, Host, Lies, State};

/// What the program gets to read.
pub const INPUT: &[u8] = b"what everybody may read and nobody has to keep";

/// Who sends datagrams, and where they come to.
fn address() -> [u8; ADDRESS_SIZE] {
    encode_address("127.0.0.1:8080".parse().unwrap())
}

impl Host {
    /// Answers the request in a thread's block.
    pub(super) fn serve(&mut self, thread: usize, lies: &mut dyn Lies) -> Option<Ending> {
        self.threads[thread].state = State::Runs(EENTER);
        let service = self.threads[thread].block.service();
        let request = service.request().expect("a request that is well-formed");
        let call = Call {
            thread,
            number: self.calls,
            request,
        };
        self.calls += 1;
        let mut payload = vec![0; request.length];
        service.payload(&mut payload);
        search("a request", &payload);
        for argument in request.arguments {
            search("an argument", &argument.to_le_bytes());
        }
        let [first, second, third, _] = request.arguments;
        let mut answer = Answer {
            sequence: self.threads[thread].block.sequence(),
            result: 0,
            length: 0,
            payload: Vec::new(),
        };
        match request.operation {
            Operation::Exit => {
                self.exit_asked = true;
                // A hostile host answers; an honest one ends it.
                lies.answer(self, &call, &mut answer);
                let is_honest = answer.sequence == self.threads[thread].block.sequence()
                    && self.threads[thread].state == State::Runs(EENTER);
                if is_honest {
                    return Some(Ending::Exited(first as i32));
                }
            }
            Operation::Park => {
                if self.wakes_early {
                    self.prefer(1 - thread);
                } else if self.threads[thread].permits == 0 {
                    self.threads[thread].state = State::Parked;
                    self.threads[thread].waiting = Some(call);
                    return None;
                }
                self.threads[thread].permits = self.threads[thread].permits.saturating_sub(1);
            }
            Operation::Unpark => self.unpark(first as usize, lies),
            Operation::StartThread => answer.result = self.start(first as usize),
            Operation::Diagnose => self.diagnostics.extend(&payload),
            Operation::Receive if first == CHANNEL as u64 => match self.input.pop() {
                Some(Some(input)) => {
                    answer.payload = input[..input.len().min(second as usize)].to_vec();
                    answer.result = answer.payload.len() as i64;
                }
                Some(None) => answer.result = -i64::from(libc::EAGAIN),
                None => {}
            },
            Operation::Send if first == CHANNEL as u64 => answer.result = payload.len() as i64,
            Operation::Receive | Operation::Send => answer.result = -i64::from(libc::EBADF),
            Operation::Poll => {
                for slot in payload.as_chunks::<POLL_ENTRY_SIZE>().0 {
                    let entry = PollEntry::decode(*slot);
                    let found = entry.events & (libc::POLLIN | libc::POLLOUT) as u16;
                    answer.payload.extend(PollEntry { found, ..entry }.encode());
                    answer.result += i64::from(found != 0);
                }
            }
            Operation::Clock => {
                for word in [1_700_000_000_000_000_000u64, 2_000_000_000] {
                    answer.payload.extend(word.to_le_bytes());
                }
            }
            Operation::Cpuid => {
                let found = std::arch::x86_64::__cpuid_count(first as u32, second as u32);
                for word in [found.eax, found.ebx, found.ecx, found.edx] {
                    answer.payload.extend(word.to_le_bytes());
                }
            }
            Operation::QuoteTarget => answer.payload = self.machine.quoting_target().to_vec(),
            Operation::Quote => match self.machine.quote(&payload) {
                Ok(quote) => answer.payload = quote,
                Err(_) => answer.result = -i64::from(libc::EIO),
            },
            // An enclave makes its own.
            Operation::Evidence => answer.result = -i64::from(libc::ENOSYS),
            Operation::Restrict => {
                if !self.skips_restrictions
                    && !matches!(self.enclave.restrict(first, second, third as u8), Ok(done) if done == second)
                {
                    answer.result = -i64::from(libc::EIO);
                }
            }
            Operation::Trim | Operation::Remove => {
                let done = match request.operation {
                    _ if self.skips_restrictions => Ok(second),
                    Operation::Trim => self.enclave.trim(first, second),
                    _ => self.enclave.remove(first, second),
                };
                if !matches!(done, Ok(done) if done == second) {
                    answer.result = -i64::from(libc::EIO);
                }
            }
            Operation::Socket | Operation::Close | Operation::Connect => {}
            Operation::SendTo => answer.result = (payload.len() - ADDRESS_SIZE) as i64,
            Operation::ReceiveFrom => {
                answer.payload.extend(address());
                answer.payload.extend(b"datagram");
                answer.result = 8;
            }
            Operation::Name => answer.payload.extend(address()),
            _ => answer.result = -i64::from(libc::EOPNOTSUPP),
        }
        answer.length = answer.payload.len() as u64;
        if request.operation != Operation::Exit {
            lies.answer(self, &call, &mut answer);
        }
        self.threads[thread].block.answer(&answer);
        match request.operation {
            Operation::Send if (0..=payload.len() as i64).contains(&answer.result) => {
                self.sent.extend(&payload[..answer.result as usize]);
            }
            Operation::Receive if answer.result > 0 && answer.result.cast_unsigned() <= second => {
                let mut taken = vec![0; answer.result as usize];
                service.payload(&mut taken);
                self.received.extend(taken);
            }
            _ => {}
        }
        None
    }

    /// Lets a thread run, if the processor can enter it.
    fn start(&mut self, index: usize) -> i64 {
        match self.threads.get_mut(index) {
            Some(thread) if thread.depth == 0 && thread.state != State::Parked => {
                thread.state = State::Runs(EENTER);
                0
            }
            _ => -i64::from(libc::EAGAIN),
        }
    }

    fn unpark(&mut self, index: usize, lies: &mut dyn Lies) {
        match self.threads[index].waiting.take() {
            Some(call) => self.wake(&call, lies),
            None => self.threads[index].permits += 1,
        }
    }

    fn wake(&mut self, call: &Call, lies: &mut dyn Lies) {
        let mut answer = Answer {
            sequence: self.threads[call.thread].block.sequence(),
            result: 0,
            length: 0,
            payload: Vec::new(),
        };
        self.threads[call.thread].state = State::Runs(EENTER);
        lies.answer(self, call, &mut answer);
        self.threads[call.thread].block.answer(&answer);
    }
}

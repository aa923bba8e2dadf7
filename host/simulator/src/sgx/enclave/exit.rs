//! Leaving the enclave: EEXIT and asynchronous exits.

use super::context::Context;
use super::entry::{ERESUME, canonical};
use super::exception::Exception;
use super::page::PAGE_SIZE;
use super::registers::{
    DIRECTION_FLAG, RAX, RBP, RBX, RCX, RDI, RDX, RESUME_FLAG, RSI, RSP, Registers, STATUS_FLAGS,
};
use super::state_save::{Frame, GENERAL_SIZE, General, xsave_size};
use super::{INTERRUPT_VECTOR, Running, secs, system_failed, transition};

/// Why the enclave is left without its doing.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// An exception, which the host sees in the run structure.
    Exception(Exception),
    /// An interrupt: the host resumes the enclave, unless a signal handler that
    /// runs before prevents it.
    Interrupt,
    /// An interrupt that the host sees in the run structure.
    ReportedInterrupt,
}

impl Running {
    /// EEXIT: goes on at the address in RBX, with everything else as it is.
    pub(super) fn exit(
        &self,
        context: &Context,
        registers: &mut Registers<'_>,
    ) -> Result<(), Exception> {
        let target = canonical(registers.get(RBX))?;
        // Hardware would leave and then find the enclave's pages inaccessible.
        if self.memory.offset_of(target, 1).is_some() {
            return Err(Exception::GENERAL_PROTECTION);
        }
        registers.set_rip(target);
        registers.set(RCX, transition::after_interrupt());
        registers.set_selectors(context);
        self.threads[context.tcs_index].release();
        self.counters.eexit.count();
        Ok(())
    }

    /// AEX (SDM volume 3D, 40.4): saves the enclave's state in the current SSA frame and
    /// gives the host a synthetic one. Every way out of the enclave but EEXIT goes through
    /// here.
    pub(super) fn asynchronous_exit(
        &self,
        cause: Cause,
        context: &Context,
        registers: &mut Registers<'_>,
    ) {
        let tcs = &self.threads[context.tcs_index];
        let number = tcs.current_frame();
        let frame = Frame::locate(
            tcs.ossa,
            self.secs.ssa_frame_pages,
            number,
            self.memory.size(),
        )
        .expect("EENTER and ERESUME have found this frame in the enclave");

        let mut general = self.save(cause, frame, registers);
        tcs.set_current_frame(number + 1);
        tcs.release();

        let xfrm = self.secs.xfrm;
        registers.initialise_extended_state(xfrm);
        general.registers = [0; 16];
        general.registers[RAX] = ERESUME.into();
        general.registers[RCX] = transition::after_interrupt();
        general.registers[RBX] = context.tcs_address;
        general.registers[RSP] = general.ursp;
        general.registers[RBP] = general.urbp;
        registers.set_rip(transition::after_interrupt());
        match cause {
            Cause::Exception(exception) => {
                self.counters.count_exception(exception.vector);
                general.registers[RDI] = exception.vector.into();
                general.registers[RSI] = exception.error_code.into();
                general.registers[RDX] = exception.address & !(PAGE_SIZE as u64 - 1);
                registers.set_rip(transition::after_exception());
            }
            Cause::ReportedInterrupt => {
                self.counters.interrupts.count();
                general.registers[RDI] = INTERRUPT_VECTOR.into();
                registers.set_rip(transition::after_exception());
            }
            Cause::Interrupt => self.counters.interrupts.count(),
        }
        for (register, value) in general.registers.into_iter().enumerate() {
            registers.set(register, value);
        }
        let cleared = STATUS_FLAGS | DIRECTION_FLAG | RESUME_FLAG;
        registers.set_rflags(registers.rflags() & !cleared);
        registers.set_selectors(context);
    }

    /// Writes the frame, and returns its GPRSGX.
    fn save(&self, cause: Cause, frame: Frame, registers: &mut Registers<'_>) -> General {
        let has_exinfo = self.secs.misc_select & secs::EXINFO != 0;
        let exception = match cause {
            Cause::Exception(exception) => Some(exception),
            Cause::Interrupt | Cause::ReportedInterrupt => None,
        };
        let pages = self.memory.pages();
        let mut written = || {
            let mut bytes = [0; GENERAL_SIZE];
            pages.read_always(frame.general(), &mut bytes)?;
            let before = General::parse(&bytes);
            let general = General {
                registers: registers.general(),
                rflags: registers.rflags(),
                rip: registers.rip(),
                ursp: before.ursp,
                urbp: before.urbp,
                exit_info: exception.map_or(0, |exception| exception.exit_info(has_exinfo)),
                fs_base: registers.fs_base,
                gs_base: registers.gs_base,
            };
            pages.write(frame.general(), &general.to_bytes())?;
            if has_exinfo && let Some(exinfo) = exception.and_then(Exception::exinfo) {
                pages.write(frame.exinfo(), &exinfo)?;
            }
            let image = registers.extended_state(self.secs.xfrm);
            pages.write(frame.start, &image.0[..xsave_size(self.secs.xfrm)])?;
            Ok(general)
        };
        written().unwrap_or_else(system_failed)
    }
}

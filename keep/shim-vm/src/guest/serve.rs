//! What the shim does when the runtime has come to it.

use enarx_keep_shim::{Next, Stop};
use enarx_wire_launch::vm::layout;

use super::{
    KERNEL, access, handlers::way, host, main_thread, paging, processor_page::ProcessorPage, stop,
    tee::tee,
};
use crate::exceptions::can_be_of_program;

/// Serves the system call or the exception that the handlers have saved.
pub extern "C" fn serve(from: u32) {
    // SAFETY: called by the handlers, which are not nested, and the one function that they call.
    let page = unsafe { ProcessorPage::current() };
    host::come_back();
    page.forget_fault();
    let Some(kernel) = KERNEL.get() else {
        stop(Stop::Exception)
    };
    // Where the shim's body runs in ring 3, its own exceptions come here too.
    let own = (layout::SHIM..layout::SHIM_END).contains(&page.registers.rip);
    let open = access::open();
    match from {
        way::SYSTEM_CALL => {
            if kernel.system_call(&mut page.registers, &mut page.extended) == Next::End {
                host::thread_ended();
                page.begin(main_thread::another());
            }
        }
        _ if own => stop(Stop::Exception),
        _ => {
            let exception = page.exception();
            if tee().exception(&exception, &mut page.registers) {
                return;
            }
            if !can_be_of_program(&exception, page.registers.rflags, &page.extended) {
                stop(Stop::Exception);
            }
            kernel.exception(exception, &mut page.registers, &mut page.extended);
        }
    }
    // Others may have changed the tables while this one waited for a lock.
    paging::catch_up();
    drop(open);
}

/// The shim has faulted where it must not.
pub extern "C" fn failed() -> ! {
    stop(Stop::Exception)
}

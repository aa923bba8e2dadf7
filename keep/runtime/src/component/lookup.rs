//! `wasi:sockets/ip-name-lookup` of WASI 0.2 and 0.3, through the host that knows name servers.
//!
//! wasmtime's own would have the C library read files and ask servers that it finds there.

use std::{
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
    vec,
};

use enarx_wire_package::is_host_name;
use wasmtime::{
    Result, StoreContextMut,
    component::{Accessor, Linker, Resource, ResourceType},
};
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynPollable, Network, Pollable,
        bindings::sockets::network::{ErrorCode, IpAddress},
        subscribe,
    },
    p3::bindings::sockets::ip_name_lookup as preview3,
    runtime::{self, AbortOnDropJoinHandle},
};

use super::State;

/// The interface, in the versions that wasmtime has.
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";
const LOOKUP_PREVIEW3: &str = "wasi:sockets/ip-name-lookup@0.3.0";

/// `resolve-address-stream`.
enum Addresses {
    Asked(AbortOnDropJoinHandle<Answer>),
    Known(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

type Answer = Result<Vec<IpAddr>, ErrorCode>;

#[async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        if let Self::Asked(answer) = self {
            *self = Self::Known(answer.await.map(Vec::into_iter));
        }
    }
}

type Caller<'a> = StoreContextMut<'a, State>;

/// Adds the interface of WASI 0.3 in place of wasmtime's.
///
/// # Errors
///
/// None in a linker that has wasmtime's, of an engine with asynchronous calls.
pub fn add_preview3_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut instance = linker.instance(LOOKUP_PREVIEW3)?;
    instance.func_wrap_concurrent(
        "resolve-addresses",
        |accessor: &Accessor<State>, (name,): (String,)| {
            let addresses = accessor.with(|mut access| look_up(access.get(), name));
            Box::pin(async move {
                let answer = match addresses {
                    Ok(Addresses::Asked(answer)) => answer.await,
                    Ok(Addresses::Known(known)) => known.map(Iterator::collect),
                    Err(error) => Err(error),
                };
                Ok((match answer {
                    Ok(addresses) => {
                        let addresses = addresses.into_iter().map(preview3::IpAddress::from);
                        Ok(addresses.collect::<Vec<_>>())
                    }
                    Err(error) => Err(preview3_error(error)),
                },))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Adds the interface of WASI 0.2 in place of wasmtime's.
///
/// # Errors
///
/// None in a linker that has wasmtime's.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.allow_shadowing(true);
    let mut instance = linker.instance(LOOKUP)?;
    instance.resource(
        "resolve-address-stream",
        ResourceType::host::<Addresses>(),
        |mut caller, handle| {
            let addresses = Resource::<Addresses>::new_own(handle);
            caller.data_mut().table.delete(addresses)?;
            Ok(())
        },
    )?;
    instance.func_wrap(
        "resolve-addresses",
        |mut caller: Caller<'_>, (network, name): (Resource<Network>, String)| {
            let state = caller.data_mut();
            state.table.get(&network)?;
            Ok((match look_up(state, name) {
                Ok(addresses) => Ok(state.table.push(addresses)?),
                Err(error) => Err(error),
            },))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut caller: Caller<'_>, (stream,): (Resource<Addresses>,)| {
            let addresses = caller.data_mut().table.get_mut(&stream)?;
            let mut context = Context::from_waker(Waker::noop());
            if let Addresses::Asked(answer) = addresses
                && let Poll::Ready(known) = Pin::new(answer).poll(&mut context)
            {
                *addresses = Addresses::Known(known.map(Vec::into_iter));
            }
            Ok((match addresses {
                Addresses::Asked(_) => Err(ErrorCode::WouldBlock),
                Addresses::Known(Ok(left)) => Ok(left.next().map(IpAddress::from)),
                Addresses::Known(Err(error)) => Err(*error),
            },))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut caller: Caller<'_>,
         (stream,): (Resource<Addresses>,)|
         -> Result<(Resource<DynPollable>,)> {
            Ok((subscribe(&mut caller.data_mut().table, stream)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What WASI 0.3 calls an error of [`look_up`].
const fn preview3_error(error: ErrorCode) -> preview3::ErrorCode {
    match error {
        ErrorCode::InvalidArgument => preview3::ErrorCode::InvalidArgument,
        ErrorCode::AccessDenied => preview3::ErrorCode::AccessDenied,
        ErrorCode::TemporaryResolverFailure => preview3::ErrorCode::TemporaryResolverFailure,
        _ => preview3::ErrorCode::NameUnresolvable,
    }
}

/// The addresses of `name`, or that they have been asked for.
fn look_up(state: &State, name: String) -> Result<Addresses, ErrorCode> {
    if let Ok(address) = name.parse() {
        return Ok(Addresses::Known(Ok(vec![address].into_iter())));
    }
    if !is_host_name(&name) {
        return Err(ErrorCode::InvalidArgument);
    }
    let services = &state.services;
    if !services.policy.allows_lookup(&name) {
        return Err(ErrorCode::AccessDenied);
    }
    let policy = services.policy.clone();
    let lookup = services.network.lookup.clone();
    Ok(Addresses::Asked(runtime::spawn(async move {
        match lookup.addresses(&name).await {
            Ok(addresses) => {
                policy.learn(&name, &addresses);
                Ok(addresses)
            }
            Err(error) => Err(if error.is_temporary() {
                ErrorCode::TemporaryResolverFailure
            } else {
                ErrorCode::NameUnresolvable
            }),
        }
    })))
}

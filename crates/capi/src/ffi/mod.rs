//! What C calls, and what calls C: the only module with unsafe code.
//!
//! # What is checked, and what cannot be
//!
//! Before Rust sees anything of an argument: a null pointer with a length (without one where a single value is meant), a
//! structure that is not aligned, a length beyond the address space, memory to be written that overlaps any other
//! argument, the client or its packet buffer, and a client or state that was not made, was copied or was released, end
//! the call with a status. That memory of the given length is there and may be used is the caller's word: C has no
//! way to ask. It is used during the call only, except for what the functions that open a client say they keep.
//!
//! A panic, which nothing here should cause, becomes `CASEMATE_INTERNAL` where there is a standard library, and stops
//! the program where there is none: it never unwinds into C.
#![allow(unsafe_code)]

mod link;
mod object;
mod panic;
mod parameter;
mod space;

#[cfg(test)]
pub(crate) use link::TlsFileNames;
pub(crate) use link::{Hooks, Link, Options, PacketFunctions, StreamFunctions};
pub(crate) use object::{HsmClient, Object, Session, enter, open, release};
#[cfg(test)]
pub(crate) use parameter::KeyArgument;
pub(crate) use parameter::{
    Array, ArrayOut, ArrayOutOptional, Buffer, ByValue, Bytes, Flag, Fresh, In, Memory, Named, Numbers16,
    Numbers32, Optional, OptionalIn, Out, Output, Parameter, Span, State, StateOf, Text, TextOut, Transform,
};
pub(crate) use space::SharedSpace;

use crate::failure::Outcome;
use crate::status::Own;
use panic::contained;

/// What is known of a call besides its code: for the header.
#[cfg(test)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) documentation: &'static [&'static str],
    /// What it returns, in C.
    pub(crate) returns: &'static str,
    /// Its parameters in C, from the names in the table.
    pub(crate) parameters: fn() -> std::vec::Vec<std::string::String>,
}

/// The second or third name of a parameter, or nothing.
macro_rules! optional {
    () => {
        ()
    };
    ($name:ident) => {
        $name
    };
}
pub(crate) use optional;

/// Makes the C functions of a table and their descriptions.
///
/// An entry is `fn NAME(client; PARAMETERS) { BODY }` for a call with an open client, whose body gets the
/// [`HsmClient`]; `fn NAME(@session; PARAMETERS)` for one that needs no more than the memory of a client; and
/// `fn NAME(; PARAMETERS)` for one without a client. A parameter is `name: Kind`, with `[second]` or `[second, third]`
/// behind the name if its [`Parameter`] takes several C parameters.
macro_rules! calls {
    ($title:literal $(
        $(#[doc = $documentation:literal])*
        fn $name:ident($(@$session:ident)? $($client:ident)?; $($p:ident $([$second:ident $(, $third:ident)?])?: $kind:ty),* $(,)?) $body:block
    )*) => {
        #[cfg(test)]
        pub(super) const GROUP: (&str, &[$crate::ffi::Call]) = ($title, &[ $(
            $crate::ffi::Call {
                name: stringify!($name),
                documentation: &[$($documentation),*],
                returns: "casemate_status",
                parameters: || std::vec![
                    $( { let _ = stringify!($session); std::string::String::from("casemate_client *client") }, )?
                    $( { let _ = stringify!($client); std::string::String::from("casemate_client *client") }, )?
                    $( <$kind as $crate::ffi::Parameter>::declare(
                        stringify!($p), stringify!($($second)?), stringify!($($($third)?)?)
                    ), )*
                ],
            }, )*
        ]);
        $( $crate::ffi::call! {
            $(#[doc = $documentation])*
            fn $name($(@$session)? $($client)?; $($p $([$second $(, $third)?])?: $kind),*) $body
        } )*
    };
}
pub(crate) use calls;

/// One C function; see [`calls`].
macro_rules! call {
    ($(#[doc = $documentation:literal])* fn $name:ident(; $($p:ident $([$second:ident $(, $third:ident)?])?: $kind:ty),*) $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "each body needs some of them")]
            use super::*;
            pub(super) fn body($($p: <$kind as $crate::ffi::Parameter>::Value<'_>),*) -> $crate::failure::Outcome $body
        }

        $(#[doc = $documentation])*
        ///
        /// # Safety
        /// As `casemate.h` says: pointers are null or point to memory of the length given.
        #[allow(unsafe_code, unused_unsafe, clippy::too_many_arguments, reason = "the one place that C enters by")]
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(
            $($p: <$kind as $crate::ffi::Parameter>::Raw
                $(, $second: <$kind as $crate::ffi::Parameter>::Second
                    $(, $third: <$kind as $crate::ffi::Parameter>::Third)?)?),*
        ) -> i32 {
            // SAFETY: as below; nothing is kept of what is looked at.
            let spans: [[$crate::ffi::Span; 2]; _] = unsafe { [$(
                <$kind as $crate::ffi::Parameter>::spans($p, $crate::ffi::optional!($($second)?), $crate::ffi::optional!($($($third)?)?))
            ),*] };
            $crate::ffi::guard(&spans, || {
                // SAFETY: the caller's pointers are null or point to as much memory as C was told to give, and nothing
                // that is written overlaps anything else: `guard` has seen to it. The values live in this closure only.
                unsafe {
                    $( let $p = <$kind as $crate::ffi::Parameter>::take(
                        $p, $crate::ffi::optional!($($second)?), $crate::ffi::optional!($($($third)?)?)
                    )?; )*
                    $name::body($($p),*)
                }
            })
        }
    };
    ($(#[doc = $documentation:literal])* fn $name:ident(@$session:ident; $($parameters:tt)*) $body:block) => {
        $crate::ffi::call! { @client $crate::ffi::Session, $(#[doc = $documentation])* fn $name($session; $($parameters)*) $body }
    };
    ($(#[doc = $documentation:literal])* fn $name:ident($client:ident; $($parameters:tt)*) $body:block) => {
        $crate::ffi::call! { @client $crate::ffi::HsmClient, $(#[doc = $documentation])* fn $name($client; $($parameters)*) $body }
    };
    (@client $type:ty, $(#[doc = $documentation:literal])* fn $name:ident($client:ident; $($p:ident $([$second:ident $(, $third:ident)?])?: $kind:ty),*) $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "each body needs some of them")]
            use super::*;
            #[allow(clippy::too_many_arguments, reason = "as many as the call has")]
            pub(super) fn body($client: &mut $type, $($p: <$kind as $crate::ffi::Parameter>::Value<'_>),*) -> $crate::failure::Outcome $body
        }

        $(#[doc = $documentation])*
        ///
        /// # Safety
        /// As `casemate.h` says: pointers are null or point to memory of the length given.
        #[allow(unsafe_code, unused_unsafe, clippy::too_many_arguments, reason = "the one place that C enters by")]
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(
            client: *mut $crate::ffi::Object,
            $($p: <$kind as $crate::ffi::Parameter>::Raw
                $(, $second: <$kind as $crate::ffi::Parameter>::Second
                    $(, $third: <$kind as $crate::ffi::Parameter>::Third)?)?),*
        ) -> i32 {
            // SAFETY: as below; nothing is kept of what is looked at.
            let spans: [[$crate::ffi::Span; 2]; _] = unsafe { [$(
                <$kind as $crate::ffi::Parameter>::spans($p, $crate::ffi::optional!($($second)?), $crate::ffi::optional!($($($third)?)?))
            ),*] };
            // SAFETY: `client` is null or points to the memory of a client: the caller's word. The other pointers are
            // null or point to as much memory as C was told to give, and nothing that is written overlaps anything else:
            // `enter` has seen to it. The values live in the closure only.
            unsafe {
                $crate::ffi::enter(client, stringify!($name), &spans, |client: &mut $type| {
                    $( let $p = <$kind as $crate::ffi::Parameter>::take(
                        $p, $crate::ffi::optional!($($second)?), $crate::ffi::optional!($($($third)?)?)
                    )?; )*
                    $name::body(client, $($p),*)
                })
            }
        }
    };
}
pub(crate) use call;

/// Makes the functions that open a client, as [`calls`] makes the others. The body gets the options, the hooks and the
/// size of the packet buffer, and gives the link.
macro_rules! openings {
    ($title:literal $(
        $(#[doc = $documentation:literal])*
        fn $name:ident($options:ident, $hooks:ident, $size:ident; $($p:ident $([$second:ident])?: $kind:ty),* $(,)?) $body:block
    )*) => {
        #[cfg(test)]
        pub(super) const OPENINGS: (&str, &[$crate::ffi::Call]) = ($title, &[ $(
            $crate::ffi::Call {
                name: stringify!($name),
                documentation: &[$($documentation),*],
                returns: "casemate_status",
                parameters: || std::vec![
                    std::string::String::from("casemate_client *client"),
                    std::string::String::from("size_t client_size"),
                    std::string::String::from("void *packet"),
                    std::string::String::from("size_t packet_size"),
                    std::string::String::from("const casemate_options *options"),
                    $( <$kind as $crate::ffi::Parameter>::declare(stringify!($p), stringify!($($second)?), ""), )*
                ],
            }, )*
        ]);
        $(
            mod $name {
                #[allow(unused_imports, reason = "each body needs some of them")]
                use super::*;
                #[allow(unused_variables, reason = "each body needs some of them")]
                pub(super) fn body(
                    $options: &$crate::ffi::Options,
                    $hooks: $crate::ffi::Hooks,
                    $size: usize,
                    $($p: <$kind as $crate::ffi::Parameter>::Value<'_>),*
                ) -> Result<$crate::ffi::Link, $crate::failure::Failure> $body
            }

            $(#[doc = $documentation])*
            ///
            /// # Safety
            /// As `casemate.h` says: pointers are null or point to memory of the length given.
            #[allow(unsafe_code, unused_unsafe, clippy::too_many_arguments, reason = "the one place that C enters by")]
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name(
                client: *mut $crate::ffi::Object,
                client_size: usize,
                packet: *mut u8,
                packet_size: usize,
                options: *const $crate::ffi::Options,
                $($p: <$kind as $crate::ffi::Parameter>::Raw $(, $second: <$kind as $crate::ffi::Parameter>::Second)?),*
            ) -> i32 {
                // SAFETY: as below; nothing is kept of what is looked at.
                let spans: [[$crate::ffi::Span; 2]; _] = unsafe { [$(
                    <$kind as $crate::ffi::Parameter>::spans($p, $crate::ffi::optional!($($second)?), ())
                ),*] };
                // SAFETY: the caller's pointers are null or point to as much memory as C was told to give, and none that
                // is written overlaps anything else: `open` has seen to it. The parameters are only read, and in the
                // closure only.
                unsafe {
                    $crate::ffi::open(client, client_size, (packet, packet_size), options, &spans, |$options, $hooks| {
                        $( let $p = <$kind as $crate::ffi::Parameter>::take(
                            $p, $crate::ffi::optional!($($second)?), ()
                        )?; )*
                        let link = $name::body($options, $hooks, packet_size, $($p),*)?;
                        Ok((link, $hooks.clock()))
                    })
                }
            }
        )*
    };
}
pub(crate) use openings;

/// Makes functions that cannot fail and that return a value.
macro_rules! values {
    ($title:literal $(
        $(#[doc = $documentation:literal])*
        fn $name:ident($($p:ident: $type:ty = $c:literal),*) -> $result:ty = $c_result:literal $body:block
    )*) => {
        #[cfg(test)]
        pub(super) const VALUES: (&str, &[$crate::ffi::Call]) = ($title, &[ $(
            $crate::ffi::Call {
                name: stringify!($name),
                documentation: &[$($documentation),*],
                returns: $c_result,
                parameters: || std::vec![$( std::string::String::from($c) ),*],
            }, )*
        ]);
        $(
            $(#[doc = $documentation])*
            #[allow(unsafe_code, reason = "C finds it by its name")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name($($p: $type),*) -> $result $body
        )*
    };
}
pub(crate) use values;

/// Ends the connection and wipes the client and its packet buffer.
///
/// # Safety
/// As `casemate.h` says: the pointer is null or points to the memory of a client.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn casemate_release(client: *mut Object) -> i32 {
    // SAFETY: the caller's word.
    unsafe { release(client) }
}

/// Carries out what needs no client, if the arguments do not overlap.
pub(crate) fn guard(spans: &[[Span; 2]], work: impl FnOnce() -> Outcome) -> i32 {
    if !parameter::are_apart(spans, &[]) {
        return Own::BAD_ARGUMENT.0;
    }
    match contained(work) {
        Some(Ok(())) => Own::OK.0,
        Some(Err(failure)) => failure.status(),
        None => Own::INTERNAL.0,
    }
}

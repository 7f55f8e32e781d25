//! What C passes, and what Rust makes of it: one type for each kind of parameter.

use crate::failure::{Failure, LinkFailure, Outcome};
use crate::status::Own;
use casemate_client::{Error, Key};
use casemate_protocol::{KeyId, ObjectId};
use core::ffi::{c_char, c_int};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr;
use core::slice;
use zeroize::Zeroize;

/// Memory that an argument names.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    length: usize,
    written: bool,
}

impl Span {
    pub(crate) const NONE: Self = Self { start: 0, length: 0, written: false };

    pub(crate) fn read<T>(start: *const T, length: usize) -> Self {
        Self { start: start.addr(), length, written: false }
    }

    pub(crate) fn written<T>(start: *mut T, length: usize) -> Self {
        Self { start: start.addr(), length, written: true }
    }

    const fn is_nothing(self) -> bool {
        self.start == 0 || self.length == 0
    }

    fn overlaps(self, other: Self) -> bool {
        let before = |a: Self, b: Self| a.start.saturating_add(a.length) <= b.start;
        !(self.is_nothing() || other.is_nothing() || before(self, other) || before(other, self))
    }
}

/// Whether no memory that is written belongs to two parameters, or to a parameter and to `reserved`. The two spans of
/// one parameter may overlap if they are not both written.
pub(crate) fn are_apart(spans: &[[Span; 2]], reserved: &[Span]) -> bool {
    let collide = |a: Span, b: Span| (a.written || b.written) && a.overlaps(b);
    spans.iter().enumerate().all(|(index, [first, second])| {
        let later = spans.iter().skip(index.saturating_add(1)).flatten().chain(reserved);
        !(first.written && second.written && first.overlaps(*second))
            && later.clone().all(|other| !collide(*first, *other) && !collide(*second, *other))
    })
}

/// A kind of parameter.
pub(crate) trait Parameter {
    /// Its first C parameter.
    type Raw: Copy;
    /// Its second C parameter, if it has one.
    type Second: Copy;
    /// Its third C parameter, if it has one.
    type Third: Copy;
    /// What the body of a call gets.
    type Value<'a>;

    /// The memory that it names.
    ///
    /// # Safety
    /// As [`take`](Self::take): some kinds look into the memory to see how long it is.
    unsafe fn spans(first: Self::Raw, second: Self::Second, third: Self::Third) -> [Span; 2];

    /// Checks it.
    ///
    /// # Safety
    /// Pointers are null or point to memory of the length given, which lives as long as the value is used and which
    /// nothing else uses meanwhile, if it is written.
    unsafe fn take<'a>(
        first: Self::Raw,
        second: Self::Second,
        third: Self::Third,
    ) -> Result<Self::Value<'a>, Failure>;

    /// Its declaration in C.
    #[cfg(test)]
    fn declare(first: &str, second: &str, third: &str) -> std::string::String;
}

/// A type that C knows by a name.
pub(crate) trait Named {
    #[cfg_attr(not(test), allow(dead_code, reason = "only the header needs it"))]
    const NAME: &'static str;
}

const fn bad<T>() -> Result<T, Failure> {
    Err(Failure::Own(Own::BAD_ARGUMENT))
}

/// The longest memory that Rust has references to.
const LONGEST: usize = usize::MAX >> 1;

/// # Safety
/// As [`Parameter::take`].
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Result<&'a [u8], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if start.is_null() || length > LONGEST || start.addr().checked_add(length).is_none() {
        return bad();
    }
    // SAFETY: not null, bytes have no alignment, the length fits an allocation; the rest is the caller's word.
    Ok(unsafe { slice::from_raw_parts(start, length) })
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn bytes_mut<'a>(start: *mut u8, length: usize) -> Result<&'a mut [u8], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    if start.is_null() || length > LONGEST || start.addr().checked_add(length).is_none() {
        return bad();
    }
    // SAFETY: as in `bytes`; that nothing else uses the memory meanwhile is checked for this library's own use.
    Ok(unsafe { slice::from_raw_parts_mut(start, length) })
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn elements<'a, T>(start: *const T, count: usize) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    let length = count.checked_mul(size_of::<T>()).filter(|&length| length <= LONGEST);
    if start.is_null()
        || !start.is_aligned()
        || length.is_none_or(|length| start.addr().checked_add(length).is_none())
    {
        return bad();
    }
    // SAFETY: not null, aligned, the length fits an allocation; the rest is the caller's word. `T` is an integer.
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn reference<'a, T>(at: *const T) -> Result<&'a T, Failure> {
    if at.is_null() || !at.is_aligned() {
        return bad();
    }
    // SAFETY: not null and aligned; that a whole `T` is there is the caller's word, and every bit pattern of the types
    // that C passes by pointer is a value of them.
    Ok(unsafe { &*at })
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn reference_mut<'a, T>(at: *mut T) -> Result<&'a mut T, Failure> {
    if at.is_null() || !at.is_aligned() {
        return bad();
    }
    // SAFETY: as in `reference`; that nothing else uses the memory meanwhile is checked for this library's own use.
    Ok(unsafe { &mut *at })
}

/// Parameters that C passes by value, and what they are for Rust.
macro_rules! values {
    ($($kind:ty: $raw:ty, $value:ty, $c:literal, $convert:expr;)*) => {$(
        impl Parameter for $kind {
            type Raw = $raw;
            type Second = ();
            type Third = ();
            type Value<'a> = $value;

            unsafe fn spans(_: $raw, (): (), (): ()) -> [Span; 2] {
                [Span::NONE; 2]
            }

            unsafe fn take<'a>(raw: $raw, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
                Ok($convert(raw))
            }

            #[cfg(test)]
            fn declare(name: &str, _: &str, _: &str) -> std::string::String {
                std::format!("{} {name}", $c)
            }
        }
    )*};
}

/// A truth value: any number but 0 is true.
pub(crate) enum Flag {}

values! {
    u8: u8, u8, "uint8_t", |raw| raw;
    u16: u16, u16, "uint16_t", |raw| raw;
    u32: u32, u32, "uint32_t", |raw| raw;
    u64: u64, u64, "uint64_t", |raw| raw;
    i32: i32, i32, "int32_t", |raw| raw;
    usize: usize, usize, "size_t", |raw| raw;
    Flag: c_int, bool, "int", |raw| raw != 0;
    KeyId: u16, KeyId, "casemate_key_id", KeyId;
    ObjectId: u16, ObjectId, "casemate_object_id", ObjectId;
}

macro_rules! names {
    ($($type:ty = $c:literal;)*) => { $( impl Named for $type { const NAME: &'static str = $c; } )* };
}

names! {
    u8 = "uint8_t";
    u16 = "uint16_t";
    u32 = "uint32_t";
    u64 = "uint64_t";
    i32 = "int32_t";
    usize = "size_t";
}

/// `casemate_key`: a key that the server holds, or the bytes of one.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct KeyArgument {
    pub(crate) bytes: *const u8,
    pub(crate) length: usize,
    pub(crate) id: u16,
}

impl Parameter for Key<'_> {
    type Raw = KeyArgument;
    type Second = ();
    type Third = ();
    type Value<'a> = Key<'a>;

    unsafe fn spans(key: KeyArgument, (): (), (): ()) -> [Span; 2] {
        [Span::read(key.bytes, key.length), Span::NONE]
    }

    unsafe fn take<'a>(key: KeyArgument, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
        if key.bytes.is_null() {
            return if key.length == 0 { Ok(Key::Id(KeyId(key.id))) } else { bad() };
        }
        if key.id != 0 {
            return bad();
        }
        // SAFETY: the caller's word.
        unsafe { bytes(key.bytes, key.length) }.map(Key::Inline)
    }

    #[cfg(test)]
    fn declare(name: &str, _: &str, _: &str) -> std::string::String {
        std::format!("casemate_key {name}")
    }
}

/// A structure that C passes by value.
pub(crate) trait ByValue: Named + Copy {}

impl<T: ByValue> Parameter for T {
    type Raw = T;
    type Second = ();
    type Third = ();
    type Value<'a> = T;

    unsafe fn spans(_: T, (): (), (): ()) -> [Span; 2] {
        [Span::NONE; 2]
    }

    unsafe fn take<'a>(value: T, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
        Ok(value)
    }

    #[cfg(test)]
    fn declare(name: &str, _: &str, _: &str) -> std::string::String {
        std::format!("{} {name}", T::NAME)
    }
}

/// Bytes that are read.
pub(crate) enum Bytes {}

impl Parameter for Bytes {
    type Raw = *const u8;
    type Second = usize;
    type Third = ();
    type Value<'a> = &'a [u8];

    unsafe fn spans(start: *const u8, length: usize, (): ()) -> [Span; 2] {
        [Span::read(start, length), Span::NONE]
    }

    unsafe fn take<'a>(start: *const u8, length: usize, (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word.
        unsafe { bytes(start, length) }
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, _: &str) -> std::string::String {
        std::format!("const uint8_t *{first}, size_t {second}")
    }
}

/// Bytes that are written as a whole.
pub(crate) enum Buffer {}

impl Parameter for Buffer {
    type Raw = *mut u8;
    type Second = usize;
    type Third = ();
    type Value<'a> = &'a mut [u8];

    unsafe fn spans(start: *mut u8, length: usize, (): ()) -> [Span; 2] {
        [Span::written(start, length), Span::NONE]
    }

    unsafe fn take<'a>(start: *mut u8, length: usize, (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word.
        unsafe { bytes_mut(start, length) }
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, _: &str) -> std::string::String {
        std::format!("uint8_t *{first}, size_t {second}")
    }
}

/// Bytes that are written at the front, and how many: before the call, how many there is room for.
pub(crate) struct Output<'a> {
    bytes: &'a mut [u8],
    length: &'a mut usize,
}

impl Output<'_> {
    /// Has `call` write the bytes and say how many they are, and something else besides.
    pub(crate) fn fill_with<R>(
        self,
        call: impl FnOnce(&mut [u8]) -> Result<(usize, R), Error<LinkFailure>>,
    ) -> Result<R, Failure> {
        match call(self.bytes) {
            Ok((length, more)) => {
                *self.length = length;
                Ok(more)
            }
            Err(error) => {
                if let Error::OutputTooSmall { needed, .. } = error {
                    *self.length = needed;
                }
                Err(error.into())
            }
        }
    }

    /// Has `call` write the bytes and say how many they are.
    pub(crate) fn fill(self, call: impl FnOnce(&mut [u8]) -> Result<usize, Error<LinkFailure>>) -> Outcome {
        self.fill_with(|bytes| Ok((call(bytes)?, ())))
    }

    /// Copies `found` there.
    pub(crate) fn copy(self, found: &[u8]) -> Outcome {
        self.fill(|bytes| {
            let error = Error::OutputTooSmall { needed: found.len(), available: bytes.len() };
            bytes.get_mut(..found.len()).ok_or(error)?.copy_from_slice(found);
            Ok(found.len())
        })
    }
}

impl Parameter for Output<'_> {
    type Raw = *mut u8;
    type Second = *mut usize;
    type Third = ();
    type Value<'a> = Output<'a>;

    unsafe fn spans(start: *mut u8, length: *mut usize, (): ()) -> [Span; 2] {
        // How long it is stands in the caller's memory, which is read once here.
        let size = if length.is_null() || !length.is_aligned() {
            0
        } else {
            // SAFETY: not null and aligned; that a length is there is the caller's word.
            unsafe { length.read() }
        };
        [Span::written(start, size), Span::written(length, size_of::<usize>())]
    }

    unsafe fn take<'a>(start: *mut u8, length: *mut usize, (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word.
        let length = unsafe { reference_mut(length) }?;
        // SAFETY: the caller's word.
        let bytes = unsafe { bytes_mut(start, *length) }?;
        Ok(Output { bytes, length })
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, _: &str) -> std::string::String {
        std::format!("uint8_t *{first}, size_t *{second}")
    }
}

/// Bytes that become others, in place or from one buffer to another of the same length.
pub(crate) struct Transform<'a> {
    bytes: &'a mut [u8],
    /// Whether the input stands elsewhere.
    is_copy: bool,
}

impl Transform<'_> {
    /// Has `call` change the bytes. If it fails, nothing of the input stays in a buffer for the output.
    pub(crate) fn change(self, call: impl FnOnce(&mut [u8]) -> Result<(), Error<LinkFailure>>) -> Outcome {
        let outcome = call(self.bytes);
        if outcome.is_err() && self.is_copy {
            self.bytes.zeroize();
        }
        Ok(outcome?)
    }
}

impl Parameter for Transform<'_> {
    type Raw = *const u8;
    type Second = *mut u8;
    type Third = usize;
    type Value<'a> = Transform<'a>;

    unsafe fn spans(input: *const u8, output: *mut u8, length: usize) -> [Span; 2] {
        [Span::read(input, length), Span::written(output, length)]
    }

    unsafe fn take<'a>(input: *const u8, output: *mut u8, length: usize) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word; the reference is gone before the other one is made.
        unsafe { bytes(input, length) }?;
        let is_copy = !ptr::addr_eq(input, output);
        if length != 0 && is_copy && Span::read(input, length).overlaps(Span::written(output, length)) {
            return bad();
        }
        // SAFETY: the caller's word.
        let bytes = unsafe { bytes_mut(output, length) }?;
        if is_copy && length != 0 {
            // SAFETY: both were checked above and do not overlap.
            unsafe { ptr::copy_nonoverlapping(input, bytes.as_mut_ptr(), length) };
        }
        Ok(Transform { bytes, is_copy })
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, third: &str) -> std::string::String {
        std::format!("const uint8_t *{first}, uint8_t *{second}, size_t {third}")
    }
}

/// Pointers to a number of bytes that the call fixes, and pointers to one value.
macro_rules! pointers {
    ($(
        $(#[$meta:meta])*
        $kind:ident<$([$constant:ident])? $($generic:ident)?>: $pointer:ty, $value:ty, $span:ident, $take:expr, $c:expr;
    )*) => {$(
        $(#[$meta])*
        #[allow(dead_code, reason = "a type that stands for a parameter")]
        pub(crate) struct $kind<$(const $constant: usize)? $($generic)?> { $( never: PhantomData<$generic>, )? }

        impl<$(const $constant: usize)? $($generic: Named + 'static)?> Parameter for $kind<$($constant)? $($generic)?> {
            type Raw = $pointer;
            type Second = ();
            type Third = ();
            type Value<'a> = $value;

            unsafe fn spans(at: $pointer, (): (), (): ()) -> [Span; 2] {
                let length = length_behind(at);
                [Span::$span(at, length), Span::NONE]
            }

            unsafe fn take<'a>(at: $pointer, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
                // SAFETY: the caller's word.
                unsafe { $take(at) }
            }

            #[cfg(test)]
            fn declare(name: &str, _: &str, _: &str) -> std::string::String {
                let declare: fn(&str) -> std::string::String = $c;
                declare(name)
            }
        }
    )*};
}

/// The size of what a pointer points to.
trait Pointer {
    const SIZE: usize;
}

impl<T> Pointer for *const T {
    const SIZE: usize = size_of::<T>();
}

impl<T> Pointer for *mut T {
    const SIZE: usize = size_of::<T>();
}

const fn length_behind<P: Pointer + Copy>(_: P) -> usize {
    P::SIZE
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn perhaps<'a, T>(at: *mut T) -> Result<Option<&'a mut T>, Failure> {
    // SAFETY: the caller's word.
    if at.is_null() { Ok(None) } else { unsafe { reference_mut(at) }.map(Some) }
}

/// # Safety
/// As [`Parameter::take`].
unsafe fn perhaps_in<'a, T>(at: *const T) -> Result<Option<&'a T>, Failure> {
    // SAFETY: the caller's word.
    if at.is_null() { Ok(None) } else { unsafe { reference(at) }.map(Some) }
}

pointers! {
    /// A value that is read.
    In<T>: *const T, &'a T, read, reference, |name| std::format!("const {} *{name}", T::NAME);
    /// A value that is read, or null.
    OptionalIn<T>: *const T, Option<&'a T>, read, perhaps_in, |name| std::format!("const {} *{name}", T::NAME);
    /// A value that is written.
    Out<T>: *mut T, &'a mut T, written, reference_mut, |name| std::format!("{} *{name}", T::NAME);
    /// A value that is written, or null if it is not wanted.
    Optional<T>: *mut T, Option<&'a mut T>, written, perhaps, |name| std::format!("{} *{name}", T::NAME);
    /// Bytes that are read.
    Array<[N]>: *const [u8; N], &'a [u8; N], read, reference, |name| std::format!("const uint8_t {name}[{N}]");
    /// Bytes that are written.
    ArrayOut<[N]>: *mut [u8; N], &'a mut [u8; N], written, reference_mut, |name| std::format!("uint8_t {name}[{N}]");
    /// Bytes that are written, or null if they are not wanted.
    ArrayOutOptional<[N]>: *mut [u8; N], Option<&'a mut [u8; N]>, written, perhaps,
        |name| std::format!("uint8_t {name}[{N}]");
}

macro_rules! number_lists {
    ($($(#[$meta:meta])* $kind:ident: $number:ty, $c:literal;)*) => {$(
        $(#[$meta])*
        pub(crate) enum $kind {}

        impl Parameter for $kind {
            type Raw = *const $number;
            type Second = usize;
            type Third = ();
            type Value<'a> = &'a [$number];

            unsafe fn spans(start: *const $number, count: usize, (): ()) -> [Span; 2] {
                [Span::read(start, count.saturating_mul(size_of::<$number>())), Span::NONE]
            }

            unsafe fn take<'a>(start: *const $number, count: usize, (): ()) -> Result<Self::Value<'a>, Failure> {
                // SAFETY: the caller's word.
                unsafe { elements(start, count) }
            }

            #[cfg(test)]
            fn declare(first: &str, second: &str, _: &str) -> std::string::String {
                std::format!("const {} *{first}, size_t {second}", $c)
            }
        }
    )*};
}

number_lists! {
    /// Identifiers that are read.
    Numbers16: u16, "uint16_t";
    /// Numbers that are read.
    Numbers32: u32, "uint32_t";
}

/// A text that ends with a zero: at most 4095 bytes before it.
pub(crate) enum Text {}

impl Text {
    const LONGEST: usize = 4095;

    /// # Safety
    /// As [`Parameter::take`].
    pub(crate) unsafe fn read<'a>(start: *const c_char) -> Result<&'a [u8], Failure> {
        if start.is_null() {
            return bad();
        }
        let start = start.cast::<u8>();
        for length in 0..=Self::LONGEST {
            // SAFETY: no zero stood before this byte, so it still belongs to the text: the caller's word.
            if unsafe { start.wrapping_add(length).read() } == 0 {
                // SAFETY: these bytes were just read.
                return Ok(unsafe { slice::from_raw_parts(start, length) });
            }
        }
        bad()
    }
}

impl Parameter for Text {
    type Raw = *const c_char;
    type Second = ();
    type Third = ();
    type Value<'a> = &'a [u8];

    unsafe fn spans(start: *const c_char, (): (), (): ()) -> [Span; 2] {
        // SAFETY: the caller's word.
        let length = unsafe { Self::read(start) }.map_or(0, |text| text.len().saturating_add(1));
        [Span::read(start, length), Span::NONE]
    }

    unsafe fn take<'a>(start: *const c_char, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word.
        unsafe { Self::read(start) }
    }

    #[cfg(test)]
    fn declare(name: &str, _: &str, _: &str) -> std::string::String {
        std::format!("const char *{name}")
    }
}

/// Room for a text and a zero behind it.
pub(crate) enum TextOut {}

impl Parameter for TextOut {
    type Raw = *mut c_char;
    type Second = usize;
    type Third = ();
    type Value<'a> = &'a mut [u8];

    unsafe fn spans(start: *mut c_char, length: usize, (): ()) -> [Span; 2] {
        [Span::written(start, length), Span::NONE]
    }

    unsafe fn take<'a>(start: *mut c_char, length: usize, (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word.
        unsafe { bytes_mut(start.cast(), length) }
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, _: &str) -> std::string::String {
        std::format!("char *{first}, size_t {second}")
    }
}

/// Memory that a client keeps until it is released, or what it shares with the server.
pub(crate) enum Memory {}

impl Parameter for Memory {
    type Raw = *mut u8;
    type Second = usize;
    type Third = ();
    type Value<'a> = (*mut u8, usize);

    unsafe fn spans(start: *mut u8, length: usize, (): ()) -> [Span; 2] {
        [Span::written(start, length), Span::NONE]
    }

    unsafe fn take<'a>(start: *mut u8, length: usize, (): ()) -> Result<Self::Value<'a>, Failure> {
        if start.is_null() || length > LONGEST || start.addr().checked_add(length).is_none() {
            return bad();
        }
        Ok((start, length))
    }

    #[cfg(test)]
    fn declare(first: &str, second: &str, _: &str) -> std::string::String {
        std::format!("void *{first}, size_t {second}")
    }
}

/// What of the library's state the caller keeps memory for.
pub(crate) trait StateOf: Named {
    /// Makes the number unlike that of other kinds of state.
    const KIND: u32;
    /// Size of the memory in words of 8 bytes.
    const WORDS: usize;
}

/// The memory of a state: a number that says that there is one, which depends on the address, and the state itself.
#[repr(C, align(8))]
pub(crate) struct Held<T> {
    mark: u32,
    value: MaybeUninit<T>,
}

impl<T: StateOf> Held<T> {
    #[allow(clippy::cast_possible_truncation, reason = "any bits of the address will do")]
    fn mark(at: *const Self) -> u32 {
        T::KIND ^ (at.addr() as u32)
    }
}

/// Memory in which a call makes a state, whatever is there before.
#[allow(dead_code, reason = "a type that stands for a parameter")]
pub(crate) struct Fresh<T> {
    never: PhantomData<T>,
}

/// What [`Fresh`] gives to a call.
pub(crate) struct Vacant<'a, T>(&'a mut MaybeUninit<Held<T>>);

impl<T: StateOf> Vacant<'_, T> {
    /// Makes the state.
    pub(crate) fn fill(self, value: T) {
        let mark = Held::mark(self.0.as_ptr());
        self.0.write(Held { mark, value: MaybeUninit::new(value) });
    }
}

impl<T: StateOf + 'static> Parameter for Fresh<T> {
    type Raw = *mut MaybeUninit<Held<T>>;
    type Second = ();
    type Third = ();
    type Value<'a> = Vacant<'a, T>;

    unsafe fn spans(at: Self::Raw, (): (), (): ()) -> [Span; 2] {
        const { assert!(size_of::<Held<T>>() <= 8 * T::WORDS, "the header promises too little memory") };
        [Span::written(at, size_of::<Held<T>>()), Span::NONE]
    }

    unsafe fn take<'a>(at: Self::Raw, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word; any bytes will do as uninitialised memory.
        unsafe { reference_mut(at) }.map(Vacant)
    }

    #[cfg(test)]
    fn declare(name: &str, _: &str, _: &str) -> std::string::String {
        std::format!("{} *{name}", T::NAME)
    }
}

/// A state that a call made before.
#[allow(dead_code, reason = "a type that stands for a parameter")]
pub(crate) struct State<T> {
    never: PhantomData<T>,
}

/// What [`State`] gives to a call.
pub(crate) struct Present<'a, T: StateOf>(&'a mut Held<T>);

impl<T: StateOf> Present<'_, T> {
    pub(crate) fn get(&mut self) -> &mut T {
        // SAFETY: the mark says that `Vacant::fill` made a value at this address, and `end` has not been called since.
        unsafe { self.0.value.assume_init_mut() }
    }

    /// Drops the state, which wipes it.
    pub(crate) fn end(self) {
        self.0.mark = 0;
        // SAFETY: as in `get`; the mark is gone, so the value is not used again.
        unsafe { self.0.value.assume_init_drop() };
    }
}

impl<T: StateOf + 'static> Parameter for State<T> {
    type Raw = *mut Held<T>;
    type Second = ();
    type Third = ();
    type Value<'a> = Present<'a, T>;

    unsafe fn spans(at: Self::Raw, (): (), (): ()) -> [Span; 2] {
        [Span::written(at, size_of::<Held<T>>()), Span::NONE]
    }

    unsafe fn take<'a>(at: Self::Raw, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
        // SAFETY: the caller's word. Any bytes are a `Held`: the value in it may be uninitialised.
        let held = unsafe { reference_mut(at) }?;
        if held.mark != Held::mark(at) {
            return Err(Own::NOT_OPEN.into());
        }
        Ok(Present(held))
    }

    #[cfg(test)]
    fn declare(name: &str, _: &str, _: &str) -> std::string::String {
        std::format!("{} *{name}", T::NAME)
    }
}

/// The text behind a pointer of the caller's; nothing if there is none.
///
/// # Safety
/// `text` is null or points to a text that ends with a zero.
#[cfg(feature = "std")]
pub(super) unsafe fn optional_text<'a>(text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's word.
    let bytes = unsafe { Text::read(text) }?;
    core::str::from_utf8(bytes).map(Some).map_err(|_| Failure::Own(Own::BAD_ARGUMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, length: usize, written: bool) -> Span {
        Span { start, length, written }
    }

    #[test]
    fn what_is_written_belongs_to_nothing_else() {
        let read = |start, length| [span(start, length, false), Span::NONE];
        let written = |start, length| [span(start, length, true), Span::NONE];
        assert!(are_apart(&[read(10, 10), read(15, 10), written(25, 5)], &[]));
        assert!(!are_apart(&[read(10, 10), written(19, 1)], &[]));
        assert!(!are_apart(&[written(10, 10), read(5, 6)], &[]));
        assert!(!are_apart(&[written(10, 10), written(10, 10)], &[]));
        assert!(
            are_apart(&[written(10, 10), written(20, 0), written(0, 99)], &[]),
            "nothing overlaps nothing"
        );
        assert!(!are_apart(&[read(10, 10)], &[span(12, 1, true)]), "the client's own memory");
        assert!(!are_apart(&[written(usize::MAX - 1, 5), read(usize::MAX - 2, 2)], &[]));
        // One parameter's own two.
        assert!(are_apart(&[[span(10, 10, false), span(10, 10, true)]], &[]));
        assert!(!are_apart(&[[span(10, 10, true), span(12, 8, true)]], &[]));
    }
}

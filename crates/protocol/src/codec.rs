//! Reading and writing scalars and fixed layouts in either byte order.

use crate::ObjectId;
use core::fmt;

/// The byte order of every scalar in a packet, as its magic announces (document 01, §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// Least significant byte first; magic bytes `01 A5`.
    #[default]
    Little,
    /// Most significant byte first; magic bytes `A5 01`.
    Big,
}

/// A message shorter than its layout, or whose declared lengths do not match the bytes present.
///
/// All malformed messages are equal here; the server decides which status code the situation deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("message is shorter than its layout or its lengths disagree")
    }
}
impl core::error::Error for Malformed {}

/// A message that does not fit the buffer it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("message does not fit the packet data length")
    }
}
impl core::error::Error for Overflow {}

/// Takes scalars and slices from the front of a byte slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, whose scalars are in `order`.
    pub const fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { rest: bytes, order }
    }

    pub(crate) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// The bytes not taken yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next `length` bytes.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes the next `length` bytes, where `length` came from the wire.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn take_u32(&mut self, length: u32) -> Result<&'a [u8], Malformed> {
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes one field.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes run out.
    pub fn get<F: Field>(&mut self) -> Result<F, Malformed> {
        F::get(self)
    }

    /// Takes one field of a layout whose size has been checked as a whole.
    pub(crate) fn read<F: Field>(&mut self) -> F {
        F::read(self)
    }

    /// As [`take_array`](Self::take_array), of bytes that have been checked: zeros if they run out all the same.
    pub(crate) fn read_array<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return [0; N] };
        self.rest = rest;
        *head
    }

    /// Succeeds only when nothing is left: for messages whose size must match exactly.
    ///
    /// # Errors
    /// [`Malformed`] if bytes are left.
    pub const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Puts scalars and slices to the front of a byte slice.
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
    order: ByteOrder,
    written: usize,
}

impl<'a> Writer<'a> {
    /// Writes to `out` with scalars in `order`.
    pub const fn new(out: &'a mut [u8], order: ByteOrder) -> Self {
        Self { rest: out, order, written: 0 }
    }

    pub(crate) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// How many bytes were written.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// Writes `bytes` as they are.
    ///
    /// # Errors
    /// [`Overflow`] if they do not fit; nothing is written then.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes `length` zero bytes.
    ///
    /// # Errors
    /// [`Overflow`] if they do not fit; nothing is written then.
    pub fn put_zeros(&mut self, length: usize) -> Result<(), Overflow> {
        self.reserve(length)?.fill(0);
        Ok(())
    }

    /// Writes one field.
    ///
    /// # Errors
    /// [`Overflow`] if it does not fit.
    pub fn put<F: Field>(&mut self, field: F) -> Result<(), Overflow> {
        field.put(self)
    }

    /// Hands out the next `length` bytes to be filled by the caller; their previous content is whatever the
    /// buffer held, so the caller must write every one of them.
    ///
    /// # Errors
    /// [`Overflow`] if fewer are left.
    pub fn reserve(&mut self, length: usize) -> Result<&'a mut [u8], Overflow> {
        let rest = core::mem::take(&mut self.rest);
        if length > rest.len() {
            self.rest = rest;
            return Err(Overflow);
        }
        let (head, rest) = rest.split_at_mut(length);
        self.rest = rest;
        self.written = self.written.saturating_add(length);
        Ok(head)
    }
}

/// A value of fixed size on the wire.
pub trait Field: Copy {
    /// Size in bytes.
    const SIZE: usize;
    /// Takes the value from `reader`.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes run out.
    fn get(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = reader.take(Self::SIZE)?;
        Ok(Self::read(&mut Reader::new(bytes, reader.order)))
    }

    /// Takes the value from a reader that has all of its bytes; of one that has not, zeros. Layouts are read in this way,
    /// after one check of their size: a value that cannot fail is read to where it belongs, without a detour through a
    /// `Result`.
    fn read(reader: &mut Reader<'_>) -> Self;
    /// Puts the value to `writer`.
    ///
    /// # Errors
    /// [`Overflow`] if it does not fit.
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow>;
}

macro_rules! scalar_field {
    ($($scalar:ty),*) => {$(
        impl Field for $scalar {
            const SIZE: usize = size_of::<$scalar>();
            fn read(reader: &mut Reader<'_>) -> Self {
                let bytes = reader.read_array();
                match reader.order {
                    ByteOrder::Little => Self::from_le_bytes(bytes),
                    ByteOrder::Big => Self::from_be_bytes(bytes),
                }
            }
            fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                let bytes = match writer.order {
                    ByteOrder::Little => self.to_le_bytes(),
                    ByteOrder::Big => self.to_be_bytes(),
                };
                writer.put_bytes(&bytes)
            }
        }
    )*};
}
scalar_field!(u8, u16, u32, u64, i32);

impl<const N: usize> Field for [u8; N] {
    const SIZE: usize = N;
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.read_array()
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_bytes(&self)
    }
}

macro_rules! word_array_field {
    ($($word:ty),*) => {$(
        impl<const N: usize> Field for [$word; N] {
            const SIZE: usize = N.saturating_mul(<$word>::SIZE);
            fn read(reader: &mut Reader<'_>) -> Self {
                let mut words = [<$word>::default(); N];
                let bytes = reader.take(Self::SIZE).unwrap_or_default();
                for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(<$word>::SIZE)) {
                    *word = Reader::new(bytes, reader.order).read();
                }
                words
            }
            fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                self.into_iter().try_for_each(|word| writer.put(word))
            }
        }
    )*};
}
word_array_field!(u16, u32, u64, ObjectId);

/// The fixed part of a message.
pub trait Layout: Sized {
    /// Size in bytes, padding included.
    const SIZE: usize;

    /// Takes the fixed part from the front of `payload` and returns it with what follows. Padding is ignored.
    ///
    /// # Errors
    /// [`Malformed`] if `payload` is shorter than [`Layout::SIZE`].
    fn decode(payload: &[u8], order: ByteOrder) -> Result<(Self, &[u8]), Malformed>;

    /// Writes the fixed part, padding as zeros, to the front of `out` and returns what follows.
    ///
    /// # Errors
    /// [`Overflow`] if `out` is shorter than [`Layout::SIZE`].
    fn encode<'o>(&self, order: ByteOrder, out: &'o mut [u8]) -> Result<&'o mut [u8], Overflow>;

    /// Takes a message that consists of its fixed part alone.
    ///
    /// # Errors
    /// [`Malformed`] if `payload` is not exactly [`Layout::SIZE`] bytes long.
    fn decode_exact(payload: &[u8], order: ByteOrder) -> Result<Self, Malformed> {
        if payload.len() != Self::SIZE {
            return Err(Malformed);
        }
        Self::decode(payload, order).map(|(message, _)| message)
    }
}

/// Defines fixed layouts: `field: type;`, or `field: type, pad N;` for N padding bytes after the field (zero when
/// written, ignored when read). The number after the name is the size in bytes, asserted at compile time.
macro_rules! layout {
    ($(
        $(#[$meta:meta])*
        $name:ident: $size:literal {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty $(, pad $pad:literal)?; )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        const _: () = assert!(
            0usize $( + <$type as $crate::Field>::SIZE $( + $pad )? )* == $size,
            concat!("size of ", stringify!($name)),
        );

        impl $crate::Layout for $name {
            const SIZE: usize = $size;
            #[allow(unused_mut)]
            fn decode(
                payload: &[u8],
                order: $crate::ByteOrder,
            ) -> Result<(Self, &[u8]), $crate::Malformed> {
                let (head, rest) = payload.split_first_chunk::<$size>().ok_or($crate::Malformed)?;
                #[allow(unused_variables)]
                let mut reader = $crate::Reader::new(head, order);
                $(
                    let $field = reader.read();
                    $( let [..] = reader.read_array::<$pad>(); )?
                )*
                Ok((Self { $( $field, )* }, rest))
            }
            fn encode<'o>(
                &self,
                order: $crate::ByteOrder,
                out: &'o mut [u8],
            ) -> Result<&'o mut [u8], $crate::Overflow> {
                let (head, rest) = out.split_at_mut_checked($size).ok_or($crate::Overflow)?;
                #[allow(unused_mut, unused_variables)]
                let mut writer = $crate::Writer::new(head, order);
                $(
                    writer.put(self.$field)?;
                    $( writer.put_zeros($pad)?; )?
                )*
                Ok(rest)
            }
        }
    )*};
}
pub(crate) use layout;

#[cfg(test)]
#[allow(unreachable_pub)]
mod tests {
    use super::*;

    layout! {
        /// A layout with padding in the middle and at the end.
        Sample: 12 {
            /// A.
            a: u16, pad 2;
            /// B.
            b: u32;
            /// C.
            c: [u8; 2], pad 2;
        }
    }

    #[test]
    fn both_byte_orders_round_trip_and_padding_is_zero() {
        let sample = Sample { a: 0x0102, b: 0x0304_0506, c: *b"xy" };
        let mut out = [0xEE; 14];
        assert_eq!(sample.encode(ByteOrder::Little, &mut out).unwrap().len(), 2);
        assert_eq!(out[..12], [2, 1, 0, 0, 6, 5, 4, 3, b'x', b'y', 0, 0]);
        assert_eq!(Sample::decode(&out, ByteOrder::Little).unwrap(), (sample, &[0xEE; 2][..]));
        sample.encode(ByteOrder::Big, &mut out).unwrap();
        assert_eq!(out[..12], [1, 2, 0, 0, 3, 4, 5, 6, b'x', b'y', 0, 0]);
        assert_eq!(Sample::decode(&out, ByteOrder::Big).unwrap().0, sample);
    }

    #[test]
    fn short_input_and_short_output_are_refused() {
        assert_eq!(Sample::decode(&[0; 11], ByteOrder::Little), Err(Malformed));
        let sample = Sample { a: 0, b: 0, c: [0; 2] };
        assert_eq!(sample.encode(ByteOrder::Little, &mut [0; 11]), Err(Overflow));
        assert_eq!(Sample::decode_exact(&[0; 13], ByteOrder::Little), Err(Malformed));
    }

    #[test]
    fn a_refused_write_leaves_the_writer_usable() {
        let mut buffer = [0; 3];
        let mut writer = Writer::new(&mut buffer, ByteOrder::Little);
        assert_eq!(writer.put(1_u32), Err(Overflow));
        writer.put(0x0201_u16).unwrap();
        assert_eq!(writer.written(), 2);
        assert_eq!(buffer, [1, 2, 0]);
    }
}

//! Variables in statics that one owner takes for good. Its unsafe code is the hand-over.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// The memory of a variable, apart from whether it was taken: for memory that outlives a reset.
#[derive(Debug)]
pub struct Place<T>(UnsafeCell<T>);

// SAFETY: the value is reached through `Owned::take` and `Taken::take` only, which hand the only reference out once.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    /// Memory that begins with `value`.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

/// Whether the variable in one [`Place`] was taken.
#[derive(Debug)]
pub struct Taken<T: 'static> {
    place: &'static Place<T>,
    taken: AtomicBool,
}

impl<T> Taken<T> {
    /// The only way to `place`.
    ///
    /// # Safety
    /// `place` is given to no other `Taken`, and whatever bytes are in it are a value of its type.
    pub const unsafe fn new(place: &'static Place<T>) -> Self {
        Self { place, taken: AtomicBool::new(false) }
    }

    /// The variable, the first time; later `None`.
    pub fn take(&self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the flag lets exactly one call pass, and nothing else reaches the place, by the condition of `new`.
        Some(unsafe { &mut *self.place.0.get() })
    }
}

/// A variable that one owner takes for good.
#[derive(Debug)]
pub struct Owned<T> {
    place: Place<T>,
    taken: AtomicBool,
}

impl<T> Owned<T> {
    /// A variable that begins with `value`.
    pub const fn new(value: T) -> Self {
        Self { place: Place::new(value), taken: AtomicBool::new(false) }
    }

    /// The variable, the first time; later `None`.
    #[expect(clippy::mut_from_ref, reason = "the flag lets one call pass")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the flag lets exactly one call pass, so no other reference exists.
        Some(unsafe { &mut *self.place.0.get() })
    }
}

/// Room for a value that a program makes when it starts. While it is empty it is all zeros, so that a static of it takes
/// no place in the program's image, as an `Option` may whose `None` hides among the values of a field.
#[derive(Debug, Default)]
#[repr(u8)]
pub enum Room<T> {
    /// No value yet.
    #[default]
    Empty,
    /// The value.
    Full(T),
}

impl<T> Room<T> {
    /// Puts `value` in, and an earlier one out. Always `Some`.
    #[inline(always)] // Otherwise the value lies on the stack twice.
    pub fn insert(&mut self, value: T) -> Option<&mut T> {
        *self = Self::Full(value);
        match self {
            Self::Full(value) => Some(value),
            Self::Empty => None,
        }
    }
}

/// A value in a program that has one thread: it may lie in an [`Owned`] static though it is not `Send`.
#[derive(Debug)]
pub struct OneThread<T>(T);

// SAFETY: by the condition of `new` there is no other thread that it could be sent to.
unsafe impl<T> Send for OneThread<T> {}

impl<T> OneThread<T> {
    /// Wraps `value`.
    ///
    /// # Safety
    /// The program has one thread, and no interrupt handler reaches the value.
    pub const unsafe fn new(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room() {
        let mut room = Room::Empty;
        assert_eq!(room.insert(5), Some(&mut 5));
        assert_eq!(room.insert(6), Some(&mut 6));
        assert!(matches!(room, Room::Full(6)));
    }

    #[test]
    fn once() {
        static ONE: Owned<u8> = Owned::new(1);
        static PLACE: Place<u8> = Place::new(2);
        // SAFETY: the only one for this place; every byte is a `u8`.
        static TWO: Taken<u8> = unsafe { Taken::new(&PLACE) };
        // SAFETY: nothing but this thread reaches it.
        static THREE: Owned<OneThread<*const u8>> = Owned::new(unsafe { OneThread::new(core::ptr::null()) });
        assert_eq!(THREE.take().map(|one| one.get_mut().is_null()), Some(true));
        assert!(THREE.take().is_none());
        assert_eq!(ONE.take(), Some(&mut 1));
        assert_eq!(ONE.take(), None);
        assert_eq!(TWO.take(), Some(&mut 2));
        assert_eq!(TWO.take(), None);
    }
}

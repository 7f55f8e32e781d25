//! Mutual exclusion over what sessions share.

use core::cell::{RefCell, RefMut};
use core::ops::DerefMut;

/// A value that one session at a time may touch.
pub trait Lock<T> {
    /// Exclusive access, which ends when it is dropped.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;

    /// Wraps `value`.
    fn new(value: T) -> Self;

    /// Gets exclusive access, waiting for it if need be.
    ///
    /// `None` if access cannot be had: the lock is held by the caller itself, or a thread failed while it held the
    /// lock, so that the value may be in disorder.
    fn lock(&self) -> Option<Self::Guard<'_>>;

    /// Runs `work` with exclusive access, waiting for it if need be.
    ///
    /// `None` if access cannot be had, as for [`lock`](Self::lock).
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.lock().map(|mut value| work(&mut value))
    }
}

/// A lock for servers that run on one thread: no more than a check that it is not taken twice.
#[derive(Debug)]
pub struct SingleThread<T>(RefCell<T>);

impl<T> Lock<T> for SingleThread<T> {
    type Guard<'a>
        = RefMut<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    fn lock(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

/// A lock for servers whose sessions run on several threads.
///
/// A thread that panics while it holds the lock leaves it closed for good: the value may be in disorder, so nobody gets
/// at it any more, and every request that needs it is answered with ABORTED at once. Nothing that was stored is lost;
/// the port should end, and start again on the same flash.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct ThreadSafe<T>(std::sync::Mutex<T>);

#[cfg(feature = "std")]
impl<T> Lock<T> for ThreadSafe<T> {
    type Guard<'a>
        = std::sync::MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    fn lock(&self) -> Option<std::sync::MutexGuard<'_, T>> {
        self.0.lock().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_lock_twice_is_an_answer_not_a_panic() {
        let lock = SingleThread::new(1);
        assert_eq!(lock.with(|value| *value + 1), Some(2));
        assert_eq!(lock.with(|_| lock.with(|_| ())), Some(None));
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_lock_whose_holder_failed_stays_closed() {
        let lock = std::sync::Arc::new(ThreadSafe::new(()));
        let other = lock.clone();
        assert!(std::thread::spawn(move || other.with(|()| panic!("on purpose"))).join().is_err());
        assert_eq!(lock.with(|()| ()), None);
    }
}

//! Time, as far as a request timeout needs it.

/// A monotonic clock. Only differences between two readings of the same clock mean anything.
pub trait Clock {
    /// Microseconds since an arbitrary but fixed moment; never decreases.
    fn now_microseconds(&self) -> u64;
}

impl<T: Clock + ?Sized> Clock for &T {
    fn now_microseconds(&self) -> u64 {
        (**self).now_microseconds()
    }
}

//! Keys that a message makes: derived, agreed or generated.

use crate::context::Context;
use crate::keys::{Source, Wanted};
use crate::platform::Platform;
use casemate_protocol::{Flags, KeyId, Status};

impl Wanted<'_> {
    pub(super) fn is_ephemeral(&self) -> bool {
        Flags::from_client(self.flags).contains(Flags::EPHEMERAL)
    }

    /// Caches `bytes` as the key asked for.
    #[inline(never)]
    pub(super) fn cache<P: Platform>(
        &self,
        context: &mut Context<'_, P>,
        bytes: &[u8],
        slots: Slots,
    ) -> Result<KeyId, Status> {
        let source = match slots {
            Slots::OfSize => Source::Server(bytes),
            #[cfg(any(feature = "rsa", feature = "elliptic-curves"))]
            Slots::BigFirst => Source::ServerBig(bytes),
        };
        context.locked(|keys| keys.create(self, &source))
    }
}

/// Which slots of the key cache a key may take: the original puts elliptic-curve and RSA keys that it generates in big
/// ones.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slots {
    OfSize,
    #[cfg(any(feature = "rsa", feature = "elliptic-curves"))]
    BigFirst,
}

//! Messages for users, their logins and their permissions (document 07, part C).

use super::requests;
use crate::codec::layout;
use crate::{Field, Group, Kind, Malformed, Overflow, Reader, Status, Writer};
use core::fmt;

/// Actions of the group.
pub mod action {
    /// Log in.
    pub const LOGIN: u8 = 0;
    /// Log out.
    pub const LOGOUT: u8 = 1;
    /// Add a user.
    pub const USER_ADD: u8 = 2;
    /// Remove a user.
    pub const USER_DELETE: u8 = 3;
    /// Ask for a user's identifier and permissions.
    pub const USER_GET: u8 = 4;
    /// Set a user's permissions.
    pub const USER_SET_PERMISSIONS: u8 = 5;
    /// Set or remove a user's credential.
    pub const USER_SET_CREDENTIALS: u8 = 6;
}

/// How a user proves who it is.
pub mod method {
    /// Not at all: the user has no credential and cannot log in.
    pub const NONE: u16 = 0;
    /// A PIN.
    pub const PIN: u16 = 1;
    /// A certificate, checked against the user's stored CA certificate.
    pub const CERTIFICATE: u16 = 2;
}

/// Longest certificate that a credential can be, in bytes.
pub const MAX_CERTIFICATE: usize = 2048;

/// A user's number: 1 upwards; 0 names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct UserId(pub u16);

impl UserId {
    /// Nobody.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Field for UserId {
    const SIZE: usize = 2;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.read())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put(self.0)
    }
}

/// A user's name: up to 31 bytes, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct UserName([u8; 32]);

impl UserName {
    /// Longest name in bytes.
    pub const MAX_LENGTH: usize = 31;

    /// The name `text`; `None` unless it has 1 to 31 bytes, none of them zero.
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH || text.contains(&0) {
            return None;
        }
        let mut name = [0; 32];
        for (to, from) in name.iter_mut().zip(text) {
            *to = *from;
        }
        Some(Self(name))
    }

    /// The name in a field of 32 bytes: what follows the first zero, and the last byte, does not count.
    pub fn from_field(field: [u8; 32]) -> Self {
        let mut name = [0; 32];
        for (to, from) in
            name.iter_mut().take(Self::MAX_LENGTH).zip(field.into_iter().take_while(|&byte| byte != 0))
        {
            *to = from;
        }
        Self(name)
    }

    /// The field of 32 bytes.
    pub const fn to_field(self) -> [u8; 32] {
        self.0
    }

    /// The name without the zeros behind it.
    pub fn text(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or(&[])
    }

    /// Whether the name is empty, which no user's is.
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({self})")
    }
}

impl Field for UserName {
    const SIZE: usize = 32;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self::from_field(reader.read_array())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_bytes(&self.0)
    }
}

/// What a user may do (document 07, C.3): a block of 473 bytes, the same in both byte orders.
///
/// A message is allowed if its group is set and its action is: [`allows`](Self::allows).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions([u8; Self::SIZE]);

impl Permissions {
    /// Size in bytes.
    pub const SIZE: usize = 473;
    /// How many groups the block speaks of, counted from 0.
    pub const GROUPS: u8 = 14;
    /// How many keys can be listed.
    pub const MAX_KEYS: usize = 2;
    /// Nothing is allowed.
    pub const NONE: Self = Self([0; Self::SIZE]);

    const ADMINISTRATOR: usize = 14;
    const ACTIONS: usize = 15;
    const ACTION_BYTES: usize = 32;
    const KEY_COUNT: usize = 463;
    const KEYS: usize = 465;

    /// Everything is allowed, and the user is an administrator; no keys are listed.
    pub fn all() -> Self {
        let mut bytes = [0; Self::SIZE];
        for byte in bytes.iter_mut().take(Self::KEY_COUNT) {
            *byte = 0xFF;
        }
        Self(bytes)
    }

    /// The block as it came; see [`normalized`](Self::normalized).
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        Self(bytes)
    }

    /// The block.
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }

    /// The same with at most [`MAX_KEYS`](Self::MAX_KEYS) keys, and zeros where none are listed.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        let keys = self.key_list();
        let (list, count) = keys;
        self.write_keys(&list, count);
        self
    }

    fn byte(&self, index: usize) -> u8 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Whether the group's byte is set.
    pub fn has_group(&self, group: Group) -> bool {
        group.0 < Self::GROUPS && self.byte(usize::from(group.0)) != 0
    }

    /// Where an action's bit lies: byte and mask.
    fn action_bit(kind: Kind) -> Option<(usize, u8)> {
        if kind.group.0 >= Self::GROUPS {
            return None;
        }
        let start = usize::from(kind.group.0).checked_mul(Self::ACTION_BYTES)?.checked_add(Self::ACTIONS)?;
        Some((start.checked_add(usize::from(kind.action >> 3))?, 1 << (kind.action & 7)))
    }

    /// Whether the action's bit is set, whatever its group's byte says.
    pub fn has_action(&self, kind: Kind) -> bool {
        Self::action_bit(kind).is_some_and(|(index, mask)| self.byte(index) & mask != 0)
    }

    /// Whether messages of this kind are allowed.
    pub fn allows(&self, kind: Kind) -> bool {
        kind.group.0 != 0 && self.has_group(kind.group) && self.has_action(kind)
    }

    /// Allows one action, or forbids it. Forbidding leaves the group's byte.
    pub fn set_action(&mut self, kind: Kind, allowed: bool) {
        let Some((index, mask)) = Self::action_bit(kind) else { return };
        if let Some(byte) = self.0.get_mut(index) {
            *byte = if allowed { *byte | mask } else { *byte & !mask };
        }
        if allowed && let Some(byte) = self.0.get_mut(usize::from(kind.group.0)) {
            *byte = 1;
        }
    }

    /// Allows all actions of a group, or forbids them. A group that the block does not speak of is left alone.
    pub fn set_group(&mut self, group: Group, allowed: bool) {
        let Some((start, _)) = Self::action_bit(Kind::new(group, 0)) else { return };
        if let Some(byte) = self.0.get_mut(usize::from(group.0)) {
            *byte = u8::from(allowed);
        }
        for byte in self.0.iter_mut().skip(start).take(Self::ACTION_BYTES) {
            *byte = if allowed { 0xFF } else { 0 };
        }
    }

    /// Whether the user is an administrator.
    pub fn is_administrator(&self) -> bool {
        self.byte(Self::ADMINISTRATOR) != 0
    }

    /// Makes the user an administrator, or not.
    pub fn set_administrator(&mut self, yes: bool) {
        if let Some(byte) = self.0.get_mut(Self::ADMINISTRATOR) {
            *byte = u8::from(yes);
        }
    }

    /// The listed keys, and how many of them count.
    pub fn key_list(&self) -> ([u32; Self::MAX_KEYS], usize) {
        let mut list = [0; Self::MAX_KEYS];
        let mut reader = Reader::new(self.0.get(Self::KEY_COUNT..).unwrap_or(&[]), crate::ByteOrder::Little);
        let count = reader.get::<u16>().map_or(0, usize::from).min(Self::MAX_KEYS);
        for key in list.iter_mut().take(count) {
            *key = reader.get().unwrap_or(0);
        }
        (list, count)
    }

    /// Lists `keys`; `false`, and nothing changed, if they are more than [`MAX_KEYS`](Self::MAX_KEYS).
    #[must_use]
    pub fn set_keys(&mut self, keys: &[u32]) -> bool {
        if keys.len() > Self::MAX_KEYS {
            return false;
        }
        self.write_keys(keys, keys.len());
        true
    }

    fn write_keys(&mut self, keys: &[u32], count: usize) {
        let Some(rest) = self.0.get_mut(Self::KEY_COUNT..) else { return };
        rest.fill(0);
        let mut writer = Writer::new(rest, crate::ByteOrder::Little);
        // The block has room for MAX_KEYS keys.
        let _ = writer.put(u16::try_from(count).unwrap_or(0));
        for &key in keys.iter().take(count) {
            let _ = writer.put(key);
        }
    }

    /// Whether a user who is no administrator and has `other` may give these permissions away (document 07, C.5):
    /// they do not make an administrator, and every group byte, action bit and key is among `other`'s.
    pub fn is_within(&self, other: &Self) -> bool {
        let groups = (0..Self::GROUPS).map(usize::from).all(|g| self.byte(g) == 0 || other.byte(g) != 0);
        let actions = (Self::ACTIONS..Self::KEY_COUNT).all(|i| self.byte(i) & !other.byte(i) == 0);
        let (keys, count) = self.key_list();
        let (held, held_count) = other.key_list();
        let keys = keys.iter().take(count).all(|key| held.iter().take(held_count).any(|held| held == key));
        !self.is_administrator() && groups && actions && keys
    }
}

const _: () = assert!(
    Permissions::KEYS + 4 * Permissions::MAX_KEYS == Permissions::SIZE
        && Permissions::KEY_COUNT + 2 == Permissions::KEYS
        && Permissions::ACTIONS + 14 * Permissions::ACTION_BYTES == Permissions::KEY_COUNT
);

impl Default for Permissions {
    /// Nothing is allowed.
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, count) = self.key_list();
        write!(f, "Permissions {{ administrator: {}", self.is_administrator())?;
        for group in (0..Self::GROUPS).map(Group).filter(|&group| self.has_group(group)) {
            let actions = (0..=u8::MAX).filter(|&action| self.has_action(Kind::new(group, action))).count();
            write!(f, ", {group:?}: {actions} actions")?;
        }
        write!(f, ", keys: {:#x?} }}", keys.get(..count).unwrap_or_default())
    }
}

impl Field for Permissions {
    const SIZE: usize = Self::SIZE;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.read_array())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_bytes(&self.0)
    }
}

layout! {
    /// LOGIN request; the PIN or certificate follows.
    LoginRequest: 36 {
        /// How the user proves who it is; [`method`].
        method: u16;
        /// Who logs in.
        name: UserName;
        /// Length of the PIN or certificate in bytes.
        length: u16;
    }

    /// LOGIN response.
    LoginResponse: 8 {
        /// Outcome.
        status: Status;
        /// The user; 0 if the login was refused.
        user: UserId, pad 2;
    }

    /// LOGOUT request.
    LogoutRequest: 4 {
        /// Whom to log out.
        user: UserId, pad 2;
    }

    /// A response that carries an outcome only.
    DoneResponse: 4 {
        /// Outcome.
        status: Status;
    }

    /// USER_ADD request; the credential follows.
    UserAddRequest: 510 {
        /// The new user's name.
        name: UserName;
        /// What it may do.
        permissions: Permissions, pad 1;
        /// What kind of credential it has; [`method`].
        method: u16;
        /// Length of the credential in bytes; 0 for none.
        length: u16;
    }

    /// USER_ADD response.
    UserAddResponse: 8 {
        /// Outcome.
        status: Status;
        /// The new user; 0 if there is none.
        user: UserId, pad 2;
    }

    /// USER_DELETE request.
    UserDeleteRequest: 4 {
        /// Whom to remove.
        user: UserId, pad 2;
    }

    /// USER_GET request.
    UserGetRequest: 34 {
        /// Whom to ask for.
        name: UserName, pad 2;
    }

    /// USER_GET response.
    UserGetResponse: 480 {
        /// Outcome.
        status: Status;
        /// The user; 0 unless the outcome is success.
        user: UserId;
        /// What it may do; nothing unless the outcome is success.
        permissions: Permissions, pad 1;
    }

    /// USER_SET_PERMISSIONS request.
    SetPermissionsRequest: 476 {
        /// Whose permissions.
        user: UserId;
        /// What the user may do from now on.
        permissions: Permissions, pad 1;
    }

    /// USER_SET_CREDENTIALS request; the present and the new credential follow.
    SetCredentialsRequest: 8 {
        /// Whose credential.
        user: UserId;
        /// What kind of credential the new one is; [`method`].
        method: u16;
        /// Length of the present credential in bytes; 0 for none.
        current_length: u16;
        /// Length of the new credential in bytes; 0 to remove it.
        new_length: u16;
    }
}

requests! { Group::AUTH;
    LoginRequest = action::LOGIN => LoginResponse;
    LogoutRequest = action::LOGOUT => DoneResponse;
    UserAddRequest = action::USER_ADD => UserAddResponse;
    UserDeleteRequest = action::USER_DELETE => DoneResponse;
    UserGetRequest = action::USER_GET => UserGetResponse;
    SetPermissionsRequest = action::USER_SET_PERMISSIONS => DoneResponse;
    SetCredentialsRequest = action::USER_SET_CREDENTIALS => DoneResponse;
}

fn front(tail: &[u8], length: u16) -> Result<&[u8], Malformed> {
    tail.get(..usize::from(length)).ok_or(Malformed)
}

impl LoginRequest {
    /// The PIN or certificate. Surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if `tail` is shorter than the message says.
    pub fn credential<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        front(tail, self.length)
    }
}

impl UserAddRequest {
    /// The credential. Surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if `tail` is shorter than the message says.
    pub fn credential<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        front(tail, self.length)
    }
}

impl SetCredentialsRequest {
    /// The present and the new credential. Surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if `tail` is shorter than the message says, or if one of the two is longer than half of what a
    /// payload of `data_length` bytes has room for (document 07, C.4).
    pub fn credentials<'a>(&self, tail: &'a [u8], data_length: usize) -> Result<[&'a [u8]; 2], Malformed> {
        let longest = data_length.saturating_sub(8) >> 1;
        let (current, new) = (usize::from(self.current_length), usize::from(self.new_length));
        if current > longest || new > longest {
            return Err(Malformed);
        }
        let (current, rest) = tail.split_at_checked(current).ok_or(Malformed)?;
        Ok([current, rest.get(..new).ok_or(Malformed)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteOrder, Layout};

    #[test]
    fn login_in_both_byte_orders() {
        let request = LoginRequest { method: method::PIN, name: UserName::new(b"admin").unwrap(), length: 4 };
        let mut out = [0xEE; 36];
        request.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out[..8], [1, 0, b'a', b'd', b'm', b'i', b'n', 0]);
        assert_eq!(out[8..], [[0; 26].as_slice(), &[4, 0]].concat());
        assert_eq!(LoginRequest::decode(&out, ByteOrder::Little).unwrap().0, request);
        request.encode(ByteOrder::Big, &mut out).unwrap();
        assert_eq!((&out[..2], &out[34..]), (&[0, 1][..], &[0, 4][..]));
        assert_eq!(request.credential(b"12345"), Ok(&b"1234"[..]));
        assert_eq!(request.credential(b"123"), Err(Malformed));
    }

    #[test]
    fn names_end_at_the_first_zero_and_after_31_bytes() {
        let mut field = [b'x'; 32];
        assert_eq!(UserName::from_field(field).text(), [b'x'; 31]);
        field[3] = 0;
        assert_eq!(UserName::from_field(field), UserName::new(b"xxx").unwrap());
        assert_eq!(UserName::new(&[b'x'; 32]), None);
        assert_eq!(UserName::new(b""), None);
        assert_eq!(UserName::new(b"a\0b"), None);
        assert!(UserName::from_field([0; 32]).is_empty());
    }

    /// Document 07, C.3: group byte g, action a of group g in byte 15 + 32 g + a / 8, bit a mod 8.
    #[test]
    fn the_block_has_its_bits_where_the_reference_says() {
        let mut permissions = Permissions::NONE;
        permissions.set_action(Kind::new(Group::CERT, 0x28), true);
        let mut expected = [0; 473];
        expected[12] = 1;
        expected[15 + 32 * 12 + 5] = 1;
        assert_eq!(permissions.as_bytes(), &expected);
        assert!(permissions.allows(Kind::new(Group::CERT, 0x28)));
        assert!(!permissions.allows(Kind::new(Group::CERT, 0x27)));
        permissions.set_administrator(true);
        assert!(permissions.set_keys(&[0x1305, 7]));
        expected[14] = 1;
        expected[463..473].copy_from_slice(&[2, 0, 5, 0x13, 0, 0, 7, 0, 0, 0]);
        assert_eq!(permissions.as_bytes(), &expected);
        assert!(!permissions.set_keys(&[1, 2, 3]));
        permissions.set_group(Group::AUTH, true);
        assert_eq!(permissions.as_bytes()[15 + 32 * 13..463], [0xFF; 32]);
    }

    #[test]
    fn group_and_action_are_both_needed_and_groups_end_at_13() {
        let mut bytes = [0; 473];
        bytes[4] = 0x80;
        assert!(!Permissions::from_bytes(bytes).allows(Kind::new(Group::CRYPTO, 4)));
        bytes[15 + 4 * 32] = 0x10;
        assert!(Permissions::from_bytes(bytes).allows(Kind::new(Group::CRYPTO, 4)));
        bytes[4] = 0;
        assert!(!Permissions::from_bytes(bytes).allows(Kind::new(Group::CRYPTO, 4)));
        let all = Permissions::all();
        for group in [0, 14, 15, 255] {
            assert!(!all.allows(Kind::new(Group(group), 0)), "{group}");
        }
        assert!((1..14).all(|group| all.allows(Kind::new(Group(group), 255))));
    }

    #[test]
    fn surplus_keys_are_cut_off() {
        let mut bytes = [0; 473];
        bytes[463..].copy_from_slice(&[9, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        let permissions = Permissions::from_bytes(bytes).normalized();
        assert_eq!(permissions.key_list(), ([1, 2], 2));
        assert_eq!(permissions.as_bytes()[463], 2);
        bytes[463] = 1;
        assert_eq!(Permissions::from_bytes(bytes).normalized().as_bytes()[469..], [0; 4]);
    }

    #[test]
    fn what_may_be_given_away() {
        let mut mine = Permissions::NONE;
        mine.set_action(Kind::new(Group::AUTH, 2), true);
        assert!(mine.set_keys(&[0x5555]));
        let mut theirs = mine;
        assert!(theirs.is_within(&mine) && Permissions::NONE.is_within(&mine));
        assert!(theirs.set_keys(&[0x9999]) && !theirs.is_within(&mine));
        theirs = mine;
        theirs.set_administrator(true);
        assert!(!theirs.is_within(&mine) && !theirs.is_within(&Permissions::all()));
        theirs = mine;
        theirs.set_action(Kind::new(Group::AUTH, 3), true);
        assert!(!theirs.is_within(&mine));
        // A bit without its group's byte counts too.
        let mut bytes = [0; 473];
        bytes[15] = 1;
        assert!(!Permissions::from_bytes(bytes).is_within(&mine));
    }

    #[test]
    fn two_credentials_share_a_payload() {
        let request =
            SetCredentialsRequest { user: UserId(1), method: method::PIN, current_length: 2, new_length: 3 };
        assert_eq!(request.credentials(b"abcdef", 1280), Ok([&b"ab"[..], b"cde"]));
        assert_eq!(request.credentials(b"abcd", 1280), Err(Malformed));
        let long = SetCredentialsRequest { new_length: 637, ..request };
        assert_eq!(long.credentials(&[0; 1272], 1280), Err(Malformed));
        assert!(SetCredentialsRequest { new_length: 636, ..request }.credentials(&[0; 1272], 1280).is_ok());
    }
}

//! Times in certificates (RFC 5280, §4.1.2.5).

use crate::Error;
use crate::elements::{Element, tag};
use der::DateTime;

/// The time in seconds since the Unix epoch; a time before it counts as the epoch.
pub(crate) fn decode(element: Element<'_>) -> Result<u64, Error> {
    let (year, rest) = match element.tag {
        tag::UTC_TIME => {
            let (year, rest) = number(element.content, 2)?;
            (if year >= 50 { year.saturating_add(1900) } else { year.saturating_add(2000) }, rest)
        }
        tag::GENERALIZED_TIME => number(element.content, 4)?,
        _ => return Err(Error::Malformed),
    };
    let mut rest = rest;
    let mut next = || -> Result<u8, Error> {
        let (value, after) = number(rest, 2)?;
        rest = after;
        u8::try_from(value).map_err(|_| Error::Malformed)
    };
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    if rest != b"Z" {
        return Err(Error::Malformed);
    }
    if year < 1970 {
        return Ok(0);
    }
    let time = DateTime::new(year, month, day, hour, minute, second).map_err(|_| Error::Malformed)?;
    Ok(time.unix_duration().as_secs())
}

/// The number in the first `digits` bytes, and the bytes after them.
fn number(text: &[u8], digits: usize) -> Result<(u16, &[u8]), Error> {
    let (digits, rest) = text.split_at_checked(digits).ok_or(Error::Malformed)?;
    let mut value = 0_u16;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(Error::Malformed)?;
        value = value.saturating_mul(10).saturating_add(u16::from(digit));
    }
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tag: u8, text: &str) -> Result<u64, Error> {
        decode(Element { tag, encoding: &[], content: text.as_bytes() })
    }

    /// The numbers are those of `date -u -d '…' +%s`.
    #[test]
    fn times_become_seconds() {
        assert_eq!(time(tag::UTC_TIME, "700101000000Z"), Ok(0));
        assert_eq!(time(tag::UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(time(tag::UTC_TIME, "500101000000Z"), Ok(0));
        assert_eq!(time(tag::GENERALIZED_TIME, "20500101000000Z"), Ok(2_524_608_000));
        assert_eq!(time(tag::UTC_TIME, "240229120000Z"), Ok(1_709_208_000));
        assert_eq!(time(tag::GENERALIZED_TIME, "99991231235959Z"), Ok(253_402_300_799));
        assert_eq!(time(tag::GENERALIZED_TIME, "19500101000000Z"), Ok(0));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "230229120000Z",
            "240230000000Z",
            "241301000000Z",
            "240001000000Z",
            "240100000000Z",
            "240101240000Z",
            "240101006000Z",
            "2401010000Z",
            "240101000000+0100",
            "240101000000",
            "24010100000xZ",
            "",
            "240101000000ZZ",
        ] {
            assert_eq!(time(tag::UTC_TIME, text), Err(Error::Malformed), "{text}");
        }
        assert_eq!(time(tag::GENERALIZED_TIME, "20240101000000.5Z"), Err(Error::Malformed));
        assert_eq!(time(tag::OCTET_STRING, "240101000000Z"), Err(Error::Malformed));
    }
}

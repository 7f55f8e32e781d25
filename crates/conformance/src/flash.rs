//! NOR flash.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::{Subject, shortfall};
use casemate_nvm::{
    DirectoryEntry, Error as StoreError, Flash, FlashOptions, FlashStore, LogOptions, LogStore, MountError,
    ObjectStore,
};
use casemate_protocol::{Metadata, ObjectId};
use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const AREA: &str = "flash";
/// The largest unit of programming that an object store can use.
const LARGEST_UNIT: usize = 64;
/// How many power cuts are tried at most: more than one change of a store has operations.
const CUTS: u32 = 64;

pub(crate) fn check_port<P: Subject>(report: &mut Report<'_>, port: &mut P) {
    let mut flash = match crate::initialize(port).and_then(|()| port.flash()) {
        Ok(flash) => flash,
        Err(fault) => {
            return report.check(AREA, "flash driver", Err(shortfall(fault, "it cannot be had")));
        }
    };
    report.check(
        AREA,
        "a second driver for the same flash is refused",
        ensure(port.flash().is_err(), "two drivers would not know of each other"),
    );
    if !port.may_erase_flash() {
        return report.check(
            AREA,
            "semantics",
            Err(Shortfall::NotApplicable("the port does not allow the flash to be erased")),
        );
    }
    if check_flash(report, &mut flash) {
        check_power_cuts(report, port, &mut flash);
    }
    // Blank, for whatever mounts it next.
    let capacity = at(flash.capacity());
    let erased = flash.erase(0, capacity).or_else(|_| failed("it reports an error"));
    report.check(AREA, "all of the flash is erased in one call", erased);
}

/// A position in flash; [`Flash`] counts bytes in 32 bits.
fn at(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

const fn failed<T>(otherwise: &'static str) -> Result<T, Shortfall> {
    Err(Shortfall::Failed(otherwise))
}

/// Whether all bytes of a range have this value.
fn holds<F: Flash>(
    flash: &mut F,
    from: usize,
    length: usize,
    wanted: impl Fn(usize) -> u8,
) -> Result<bool, F::Error> {
    let mut piece = [0; LARGEST_UNIT];
    let mut offset = 0_usize;
    while offset < length {
        let size = length.saturating_sub(offset).min(piece.len());
        let part = piece.get_mut(..size).unwrap_or_default();
        flash.read(at(from.saturating_add(offset)), part)?;
        if part.iter().enumerate().any(|(index, &byte)| byte != wanted(offset.saturating_add(index))) {
            return Ok(false);
        }
        offset = offset.saturating_add(size);
    }
    Ok(true)
}

/// Bytes that differ from both values of erased flash and from their neighbours.
fn pattern(index: usize) -> u8 {
    u8::try_from(index.wrapping_mul(37) & 0x3F).unwrap_or_default() | 0x40
}

/// Checks flash, of which the first sectors and the last one are erased. Whether it is fit for further checks.
pub fn check_flash<F: Flash>(report: &mut Report<'_>, flash: &mut F) -> bool {
    let (write, erase, capacity) = (F::WRITE_SIZE, F::ERASE_SIZE, flash.capacity());
    report.note(format_args!(
        "flash: {capacity} bytes, programmed by {write}, erased by {erase}, read by {}, erased byte {:#04x}",
        F::READ_SIZE,
        flash.erased_byte()
    ));
    let geometry = geometry::<F>(capacity);
    report.check(AREA, "geometry: two partitions of whole sectors, sectors of whole program units", geometry);
    if geometry.is_err() {
        return false;
    }
    let prepared = prepare(flash);
    report.check(AREA, "erase sets every byte of its range to the erased byte", prepared);
    if prepared.is_err() {
        return false;
    }
    report.check(AREA, "what is programmed is read back, units in one call", program(flash));
    report.check(AREA, "programming leaves its neighbours erased", neighbours(flash));
    report.check(AREA, "a programmed unit is not programmed again unnoticed", program_once(flash));
    report.check(AREA, "erase leaves the next sector as it is", erase_alone(flash));
    report.check(
        AREA,
        "programming off its alignment is refused, and nothing is written",
        unaligned_write(flash),
    );
    report.check(AREA, "erasing off its alignment is refused, and nothing is erased", unaligned_erase(flash));
    report.check(AREA, "ranges outside the flash are refused", bounds(flash));
    report.check(AREA, "the last unit of the flash is usable", last_unit(flash));
    report.check(AREA, "empty ranges succeed and change nothing", empty(flash));
    report.check(AREA, "locked flash is not programmed or erased, unlocked flash is", lock(flash));
    report.check(AREA, "commit succeeds", flash.commit().or_else(|_| failed("it reports an error")));
    // As found by the checks: blank.
    let _ = prepare(flash);
    true
}

fn geometry<F: Flash>(capacity: usize) -> Outcome {
    let multiple = |of: usize, unit: usize| unit > 0 && of.checked_rem(unit) == Some(0);
    ensure(u32::try_from(capacity).is_ok(), "the capacity has more than 32 bits")?;
    ensure(
        F::WRITE_SIZE <= LARGEST_UNIT,
        "the program unit is larger than 64 bytes, which no layout can use",
    )?;
    ensure(multiple(F::WRITE_SIZE, F::READ_SIZE), "the program unit is no multiple of the read unit")?;
    ensure(multiple(F::ERASE_SIZE, F::WRITE_SIZE), "a sector is no multiple of the program unit")?;
    ensure(multiple(capacity, F::ERASE_SIZE), "the capacity is no multiple of the sector size")?;
    ensure(
        block::<F>().checked_mul(2).is_some_and(|two| two <= capacity),
        "there are fewer than two sectors, or eight program units",
    )
}

fn prepare<F: Flash>(flash: &mut F) -> Outcome {
    let (erase, capacity, blank) = (F::ERASE_SIZE, flash.capacity(), flash.erased_byte());
    let (two, last) = (block::<F>().saturating_mul(2), capacity.saturating_sub(erase));
    flash.unlock(0, at(capacity)).or_else(|_| failed("the flash cannot be unlocked"))?;
    flash.erase(0, at(two)).map_err(|error| refusal(&error, "erasing two sectors reports an error"))?;
    flash.erase(at(last), at(capacity)).or_else(|_| failed("erasing the last sector reports an error"))?;
    let erased =
        holds(flash, 0, two, |_| blank).and_then(|first| Ok(first && holds(flash, last, erase, |_| blank)?));
    ensure(erased.or_else(|_| failed("reading reports an error"))?, "a byte is not erased")
}

/// The piece of flash that most checks work on: whole sectors, at least four program units.
fn block<F: Flash>() -> usize {
    let sectors = F::WRITE_SIZE.saturating_mul(4).div_ceil(F::ERASE_SIZE.max(1));
    F::ERASE_SIZE.saturating_mul(sectors)
}

/// What a driver's error means: one that is of no known kind may be that of a driver which is not written.
fn refusal<E: NorFlashError>(error: &E, otherwise: &'static str) -> Shortfall {
    let _ = error.kind();
    Shortfall::Failed(otherwise)
}

/// A piece of the pattern, of up to two program units.
fn units<F: Flash>(bytes: &mut [u8; 2 * LARGEST_UNIT]) -> &[u8] {
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = pattern(index);
    }
    bytes.get(..F::WRITE_SIZE.saturating_mul(2)).unwrap_or_default()
}

fn program<F: Flash>(flash: &mut F) -> Outcome {
    let mut bytes = [0; 2 * LARGEST_UNIT];
    let data = units::<F>(&mut bytes);
    let from = F::WRITE_SIZE;
    flash.write(at(from), data).or_else(|_| failed("programming erased flash reports an error"))?;
    let same = holds(flash, from, data.len(), pattern).or_else(|_| failed("reading reports an error"))?;
    ensure(same, "success was reported, and the flash holds something else")
}

fn neighbours<F: Flash>(flash: &mut F) -> Outcome {
    let blank = flash.erased_byte();
    let (unit, after) = (F::WRITE_SIZE, F::WRITE_SIZE.saturating_mul(3));
    let rest = block::<F>().saturating_mul(2).saturating_sub(after);
    let erased = holds(flash, 0, unit, |_| blank)
        .and_then(|before| Ok(before && holds(flash, after, rest, |_| blank)?));
    ensure(erased.or_else(|_| failed("reading reports an error"))?, "a byte outside the range changed")
}

fn program_once<F: Flash>(flash: &mut F) -> Outcome {
    let (unit, other) = (F::WRITE_SIZE, [0x15; LARGEST_UNIT]);
    let again = flash.write(at(unit), other.get(..unit).unwrap_or_default());
    let read = |flash: &mut F, wanted: &dyn Fn(usize) -> u8| {
        holds(flash, unit, unit, wanted).or_else(|_| failed("reading reports an error"))
    };
    match again {
        Err(_) => ensure(read(flash, &pattern)?, "the write was refused, and the flash has changed"),
        Ok(()) => ensure(
            read(flash, &|_| 0x15)?,
            "the write was reported as a success, and the flash does not hold what was written",
        ),
    }
}

fn erase_alone<F: Flash>(flash: &mut F) -> Outcome {
    let (erase, unit, blank) = (block::<F>(), F::WRITE_SIZE, flash.erased_byte());
    let mut bytes = [0; 2 * LARGEST_UNIT];
    let data = units::<F>(&mut bytes).get(..unit).unwrap_or_default();
    flash.write(at(erase), data).or_else(|_| failed("programming the second sector reports an error"))?;
    flash.erase(0, at(erase)).or_else(|_| failed("erasing the first sector reports an error"))?;
    let kept =
        holds(flash, erase, unit, pattern).and_then(|kept| Ok((kept, holds(flash, 0, erase, |_| blank)?)));
    let (kept, erased) = kept.or_else(|_| failed("reading reports an error"))?;
    ensure(erased, "the first sector is not erased")?;
    ensure(kept, "the second sector has changed")
}

fn unaligned_write<F: Flash>(flash: &mut F) -> Outcome {
    let (unit, blank) = (F::WRITE_SIZE, flash.erased_byte());
    if unit == 1 {
        return Err(Shortfall::NotApplicable("single bytes can be programmed"));
    }
    let data = [0x2A; LARGEST_UNIT];
    let short = data.get(..unit.saturating_sub(1)).unwrap_or_default();
    ensure(flash.write(1, data.get(..unit).unwrap_or_default()).is_err(), "an odd offset was accepted")?;
    ensure(flash.write(0, short).is_err(), "an odd length was accepted")?;
    let untouched = holds(flash, 0, unit.saturating_mul(2), |_| blank);
    ensure(untouched.or_else(|_| failed("reading reports an error"))?, "the flash has changed")
}

fn unaligned_erase<F: Flash>(flash: &mut F) -> Outcome {
    let (unit, from) = (F::WRITE_SIZE, block::<F>());
    if unit == F::ERASE_SIZE {
        return Err(Shortfall::NotApplicable("a sector is one program unit"));
    }
    let end = from.saturating_add(F::ERASE_SIZE);
    let inside = from.saturating_add(unit);
    ensure(flash.erase(at(inside), at(end)).is_err(), "a start inside a sector was accepted")?;
    let inside = end.saturating_sub(unit);
    ensure(flash.erase(at(from), at(inside)).is_err(), "an end inside a sector was accepted")?;
    let kept = holds(flash, from, unit, pattern).or_else(|_| failed("reading reports an error"))?;
    ensure(kept, "the flash has changed")
}

fn bounds<F: Flash>(flash: &mut F) -> Outcome {
    let (capacity, erase, unit) = (flash.capacity(), F::ERASE_SIZE, F::WRITE_SIZE);
    let data = [0x2A; LARGEST_UNIT];
    let data = data.get(..unit).unwrap_or_default();
    let mut out = [0; LARGEST_UNIT];
    let out = out.get_mut(..F::READ_SIZE.max(1)).unwrap_or_default();
    ensure(flash.read(at(capacity), out).is_err(), "a read behind the end was accepted")?;
    ensure(flash.write(at(capacity), data).is_err(), "a write behind the end was accepted")?;
    ensure(
        flash.erase(at(capacity), at(capacity.saturating_add(erase))).is_err(),
        "an erase behind the end was accepted",
    )?;
    ensure(
        flash.erase(0, at(capacity.saturating_add(erase))).is_err(),
        "an erase across the end was accepted",
    )?;
    ensure(flash.erase(at(erase), 0).is_err(), "an erase whose end lies before its start was accepted")?;
    let highest = u32::MAX.wrapping_sub(at(erase)).wrapping_add(1);
    ensure(flash.write(highest, data).is_err(), "a write at the end of the 32 bits was accepted")?;
    let kept = holds(flash, block::<F>(), unit, pattern).or_else(|_| failed("reading reports an error"))?;
    ensure(kept, "what was refused has changed the flash")
}

fn last_unit<F: Flash>(flash: &mut F) -> Outcome {
    let from = flash.capacity().saturating_sub(F::WRITE_SIZE);
    let mut bytes = [0; 2 * LARGEST_UNIT];
    let data = units::<F>(&mut bytes).get(..F::WRITE_SIZE).unwrap_or_default();
    flash.write(at(from), data).or_else(|_| failed("programming it reports an error"))?;
    let same =
        holds(flash, from, F::WRITE_SIZE, pattern).or_else(|_| failed("reading it reports an error"))?;
    ensure(same, "it does not hold what was programmed")
}

fn empty<F: Flash>(flash: &mut F) -> Outcome {
    let erase = at(block::<F>());
    flash.read(0, &mut []).or_else(|_| failed("an empty read reports an error"))?;
    flash.write(0, &[]).or_else(|_| failed("an empty write reports an error"))?;
    flash.erase(erase, erase).or_else(|_| failed("an empty erase reports an error"))?;
    let kept = holds(flash, block::<F>(), F::WRITE_SIZE, pattern);
    ensure(kept.or_else(|_| failed("reading reports an error"))?, "an empty erase erased a sector")
}

fn lock<F: Flash>(flash: &mut F) -> Outcome {
    let (capacity, unit, blank) = (at(flash.capacity()), F::WRITE_SIZE, flash.erased_byte());
    flash.erase(0, at(block::<F>())).or_else(|_| failed("erasing reports an error"))?;
    flash.lock(0, capacity).or_else(|_| failed("locking reports an error"))?;
    let data = [0x2A; LARGEST_UNIT];
    let data = data.get(..unit).unwrap_or_default();
    let written = flash.write(0, data);
    let erased = flash.erase(at(block::<F>()), at(block::<F>().saturating_mul(2)));
    flash.unlock(0, capacity).or_else(|_| failed("unlocking reports an error"))?;
    let reading = |_| Shortfall::Failed("reading reports an error");
    match (written, erased) {
        (Ok(()), Ok(())) => Err(Shortfall::NotApplicable("this flash has no lock")),
        (Err(_), Err(_)) => {
            ensure(holds(flash, 0, unit, |_| blank).map_err(reading)?, "a refused write changed the flash")?;
            flash.write(0, data).or_else(|_| failed("unlocked flash cannot be programmed"))?;
            ensure(holds(flash, 0, unit, |_| 0x2A).map_err(reading)?, "unlocked flash was not programmed")
        }
        _ => failed("one of programming and erasing is locked, the other is not"),
    }
}

/// Checks that an object store on this flash survives a power cut at every point of a change.
pub fn check_power_cuts<P: Subject>(report: &mut Report<'_>, port: &mut P, flash: &mut P::Flash) {
    const NAME: &str = "a change that loses power happens entirely or not at all";
    let mut cuts = 0_u32;
    let outcome = loop {
        match power_cut(port, flash, cuts) {
            Ok(true) if cuts < CUTS => cuts = cuts.saturating_add(1),
            Ok(_) => break Ok(()),
            Err(shortfall) => break Err(shortfall),
        }
    };
    if outcome.is_ok() {
        report.note(format_args!("flash: {cuts} power cuts"));
    }
    report.check(AREA, NAME, outcome);
}

/// One power cut. Whether it happened: the change had that many operations.
fn power_cut<P: Subject>(port: &mut P, flash: &mut P::Flash, operations: u32) -> Result<bool, Shortfall> {
    const OLD: &[u8] = b"the old version";
    const NEW: &[u8] = b"the new version, which is longer than the old one";
    let capacity = at(flash.capacity());
    flash.erase(0, capacity).or_else(|_| failed("erasing all of it reports an error"))?;
    with_store(flash, &mut |store| store.add(OBJECT, OLD))?
        .or_else(|()| failed("an object cannot be stored"))?;
    if !port.cut_power_after(flash, operations) {
        return Err(Shortfall::NotApplicable("the port cannot cut the power"));
    }
    let changed = with_store(flash, &mut |store| store.add(OBJECT, NEW));
    port.restore_power(flash);
    let mut which = None;
    with_store(flash, &mut |store| {
        which = [OLD, NEW].into_iter().find(|content| store.holds(OBJECT, content));
        Ok(())
    })
    .or_else(|_| failed("the store cannot be mounted after the cut"))?
    .or_else(|()| failed("the store cannot be read after the cut"))?;
    match (changed, which) {
        (_, None) => failed("neither the old nor the new object is there after the cut"),
        (Ok(Ok(())), Some(OLD)) => failed("a change that was reported as done is lost"),
        (changed, Some(_)) => Ok(!matches!(changed, Ok(Ok(())))),
    }
}

const OBJECT: ObjectId = ObjectId(7);

/// An object store, whichever layout the flash can have.
trait Store {
    fn add(&mut self, id: ObjectId, data: &[u8]) -> Result<(), ()>;
    fn holds(&mut self, id: ObjectId, data: &[u8]) -> bool;
}

impl<S: ObjectStore> Store for S {
    fn add(&mut self, id: ObjectId, data: &[u8]) -> Result<(), ()> {
        let metadata = Metadata { id, ..Metadata::default() };
        self.add_with_reclaim(&metadata, data).map_err(|_| ())
    }

    fn holds(&mut self, id: ObjectId, data: &[u8]) -> bool {
        let mut out = [0; 64];
        let Some(out) = out.get_mut(..data.len()) else { return false };
        let length = self.metadata(id).map(|metadata| usize::from(metadata.length));
        length.ok() == Some(data.len()) && self.read(id, 0, out).is_ok() && out == data
    }
}

/// Mounts a store and works with it.
fn with_store<F: Flash>(
    flash: &mut F,
    work: &mut dyn FnMut(&mut dyn Store) -> Result<(), ()>,
) -> Result<Result<(), ()>, Shortfall> {
    let capacity = flash.capacity();
    if F::WRITE_SIZE <= 8 {
        let store = FlashStore::mount(flash, [DirectoryEntry::EMPTY; 8], FlashOptions::new());
        return Ok(work(&mut store.map_err(mounting)?));
    }
    // A mirror as large as a partition is more than fits on a stack: two sectors do.
    let partition = F::ERASE_SIZE.min(capacity.checked_div(2).unwrap_or_default());
    if partition > MIRROR {
        return Err(Shortfall::NotApplicable("the suite's mirror is smaller than a sector of this flash"));
    }
    let options = LogOptions::new().with_partition_size(at(partition)).with_objects(8);
    let store = LogStore::mount(flash, [0; MIRROR], options);
    Ok(work(&mut store.map_err(mounting)?))
}

/// Size of the mirror that [`LogStore`] gets, in bytes.
const MIRROR: usize = 4096;

fn mounting<E: NorFlashError>(error: MountError<E>) -> Shortfall {
    match error {
        MountError::Store(StoreError::Flash(error)) if error.kind() == NorFlashErrorKind::OutOfBounds => {
            Shortfall::Failed("mounting a store reads outside the flash")
        }
        MountError::Geometry(_) => Shortfall::Failed("the geometry suits no store"),
        _ => Shortfall::Failed("a store cannot be mounted"),
    }
}

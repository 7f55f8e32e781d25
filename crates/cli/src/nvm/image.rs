//! `casemate nvm`: the commands that work on images instead of servers.

use crate::table::{Align, Table};
use crate::value::{Permissions, byte, flag_names, object_kind, object_owner, print, say, size, write_file};
use anyhow::{Context, Result, bail, ensure};
use casemate_nvm_image::text::{self, Notation};
use casemate_nvm_image::{Change, Configuration, EntryState, Format, Layout, Object, Report, difference};
use casemate_protocol::{Metadata, ObjectId, ObjectType};
use clap::{Args, Subcommand, ValueEnum};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The largest file that is read: an image of the largest partitions, as text.
const MAX_FILE: u64 = 0x3000_0000;

/// What `casemate nvm build --help` says.
const BUILD: &str = "\
Make an image from a configuration

A configuration is a file of whnvmtool, or TOML:

  [image]                          # all of it optional
  layout = \"flash\"                 # or \"log\"
  partition-size = 0x10000
  objects = 32                     # as in the server's configuration
  erased-byte = 0xff
  checksums = false

  [[object]]
  id = 14
  label = \"greeting\"
  flags = [\"nondestroyable\"]       # or a number
  file = \"greeting.bin\"            # or hex = \"...\", or text = \"...\"

  [[key]]
  client = 12                      # 0 for a global key
  id = 0xfe
  flags = [\"trusted\", \"wrap\", \"nonexportable\"]
  file = \"kek.bin\"

  [[counter]]
  client = 12
  id = 1
  value = 7

  [[she]]
  client = 12
  slot = 4
  counter = 1
  flags = 0
  file = \"key1.bin\"

From a file of whnvmtool the image is the same, byte for byte.";

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Make an image from a configuration
    #[command(long_about = BUILD)]
    Build {
        /// The configuration
        config: PathBuf,
        /// The image to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace an image that exists
        #[arg(long, conflicts_with = "extend")]
        force: bool,
        /// Add to the image that exists, as whnvmtool does
        #[arg(long)]
        extend: bool,
        #[command(flatten)]
        shape: Shape,
    },
    /// Show what an image holds: objects and what became of them, free space, wear, damage
    Inspect {
        #[command(flatten)]
        image: Input,
    },
    /// Check an image; exit status 1 if something is wrong with it
    Verify {
        #[command(flatten)]
        image: Input,
    },
    /// Compare the objects of two images; exit status 1 if they differ. Data are compared, never shown
    Diff {
        /// The image before
        before: PathBuf,
        /// The image after
        after: PathBuf,
        #[command(flatten)]
        shape: Shape,
    },
    /// Write an image as Intel HEX or S-records for a programming tool, or such text as an image
    Hex {
        /// The image
        image: PathBuf,
        /// Where to write the text [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The notation
        #[arg(long, value_enum, default_value_t = NotationName::Intel)]
        notation: NotationName,
        /// Address of the image's first byte
        #[arg(long, value_name = "ADDRESS", default_value = "0", value_parser = size)]
        base: u32,
        /// Leave out what is only this byte, for flash that is erased before
        #[arg(long, value_name = "BYTE", value_parser = byte)]
        skip_erased: Option<u8>,
        /// Replace a file that exists
        #[arg(long)]
        force: bool,
    },
    /// Save every intact object of an image into a new one
    Repair {
        #[command(flatten)]
        image: Input,
        /// The image to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace a file that exists
        #[arg(long)]
        force: bool,
    },
}

/// An image and its format.
#[derive(Args)]
pub(crate) struct Input {
    /// The image, or Intel HEX or S-records of one
    #[arg(value_name = "IMAGE")]
    path: PathBuf,
    #[command(flatten)]
    shape: Shape,
}

/// The format. What is not given comes from the image or the configuration.
#[derive(Args)]
#[command(next_help_heading = "Format of the image")]
pub(crate) struct Shape {
    /// The layout
    #[arg(long, value_enum)]
    layout: Option<LayoutName>,
    /// Size of one of the two partitions
    #[arg(long, value_name = "BYTES", value_parser = size)]
    partition_size: Option<u32>,
    /// How many objects the server is configured for
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    objects: Option<u16>,
    /// Objects have checksums
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    checksums: Option<bool>,
    /// Value of an erased byte
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    erased_byte: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// A directory and a data area (nvm_flash)
    Flash,
    /// Rewritten with every change (nvm_flash_log)
    Log,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotationName {
    /// Intel HEX
    Intel,
    /// Motorola S-records
    Srecord,
    /// The image itself
    Binary,
}

impl Shape {
    /// `format` with what the options say.
    fn over(&self, format: Format) -> Result<Format> {
        let (mut name, mut count, mut sums) = match format.layout {
            Layout::Flash { entries, checksums } => (LayoutName::Flash, entries, checksums),
            Layout::Log { objects } => (LayoutName::Log, objects, false),
        };
        name = self.layout.unwrap_or(name);
        count = self.objects.unwrap_or(count);
        sums = self.checksums.unwrap_or(sums);
        let layout = match name {
            LayoutName::Flash => Layout::Flash { entries: count, checksums: sums },
            LayoutName::Log => {
                ensure!(self.checksums != Some(true), "the layout log has no checksums");
                Layout::Log { objects: count }
            }
        };
        Ok(Format {
            layout,
            partition_size: self.partition_size.unwrap_or(format.partition_size),
            erased_byte: self.erased_byte.unwrap_or(format.erased_byte),
        })
    }

    /// The format of `image`: worked out from it, unless the options say enough.
    fn of(&self, image: &[u8]) -> Result<Format> {
        match Format::detect(image) {
            Ok(format) => self.over(format),
            Err(_) if self.layout.is_some() => {
                let partition_size = u32::try_from(image.len() / 2).unwrap_or(u32::MAX);
                self.over(Format { partition_size, ..Format::default() })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Action {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Build { config, out, force, extend, shape } => build(config, out, *force, *extend, shape),
            Self::Inspect { image } => {
                let (bytes, format) = image.read()?;
                inspect(&Report::new(&bytes, format)?)
            }
            Self::Verify { image } => {
                let (bytes, format) = image.read()?;
                verify(&image.path, &Report::new(&bytes, format)?)
            }
            Self::Diff { before, after, shape } => diff(before, after, shape),
            Self::Hex { image, out, notation, base, skip_erased, force } => {
                hex(image, out.as_deref(), *notation, *base, *skip_erased, *force)
            }
            Self::Repair { image, out, force } => {
                let (bytes, format) = image.read()?;
                repair(&Report::new(&bytes, format)?, &bytes, out, *force)
            }
        }
    }
}

impl Input {
    fn read(&self) -> Result<(Zeroizing<Vec<u8>>, Format)> {
        let image = read_image(&self.path)?;
        let format = self.shape.of(&image).with_context(|| self.path.display().to_string())?;
        Ok((image, format))
    }
}

fn build(config: &Path, out: &Path, force: bool, extend: bool, shape: &Shape) -> Result<()> {
    let configuration = Configuration::read(config).with_context(|| format!("in {}", config.display()))?;
    let format = shape.over(configuration.format.unwrap_or_default())?;
    let objects = &configuration.objects;
    let image =
        if extend && out.exists() { format.extend(read_image(out)?, objects) } else { format.build(objects) };
    let image = image.with_context(|| format!("in {}", config.display()))?;
    write_file(out, &image, force || extend, Permissions::Private)?;
    say(format_args!(
        "{}: {} objects stored, {} bytes, {}",
        out.display(),
        objects.len(),
        image.len(),
        name(&format)
    ))
}

fn inspect(report: &Report) -> Result<()> {
    let format = &report.format;
    say(format_args!("Layout       {}", name(format)))?;
    say(format_args!("Erased byte  {:#04x}", format.erased_byte))?;
    for (index, partition) in report.partitions.iter().enumerate() {
        let active = if report.active == Some(index) { "  <- in use" } else { "" };
        say(format_args!("Partition {index}  {:#08x}  {}{active}", partition.offset, partition.state))?;
    }
    let mut table = Table::new(&[
        ("ENTRY", Align::Right),
        ("OFFSET", Align::Right),
        ("ID", Align::Left),
        ("KIND", Align::Left),
        ("OWNER", Align::Right),
        ("BYTES", Align::Right),
        ("VERSION", Align::Right),
        ("FLAGS", Align::Left),
        ("LABEL", Align::Left),
        ("STATE", Align::Left),
    ]);
    for entry in &report.entries {
        let metadata = &entry.metadata;
        table.row([
            entry.index.to_string(),
            format!("{:#x}", entry.offset),
            metadata.id.to_string(),
            object_kind(metadata.id).to_owned(),
            object_owner(metadata.id),
            metadata.length.to_string(),
            entry.version.to_string(),
            flag_names(metadata.flags),
            label(metadata),
            entry.state.to_string(),
        ]);
    }
    if !table.is_empty() {
        say("")?;
        print(&table)?;
        say("")?;
    }
    let space = &report.space;
    let entries = space.free_objects.map_or_else(String::new, |count| format!(", {count} objects"));
    say(format_args!("Free         {} bytes{entries}", space.free_bytes))?;
    say(format_args!(
        "Reclaimable  {} bytes, {} objects",
        space.reclaimable_bytes, space.reclaimable_objects
    ))?;
    let epoch = report.active.and_then(|active| match report.partitions.get(active)?.state {
        casemate_nvm_image::PartitionState::Valid { epoch } => Some(epoch),
        _ => None,
    });
    if let Some(epoch) = epoch {
        // Each compaction, or change of a log, erases the partition that was in use.
        say(format_args!("Wear         about {} erasures of each partition", epoch.div_ceil(2)))?;
    }
    for note in &report.notes {
        say(format_args!("note: {note}"))?;
    }
    for problem in &report.problems {
        say(format_args!("PROBLEM: {problem}"))?;
    }
    Ok(())
}

fn verify(path: &Path, report: &Report) -> Result<()> {
    for note in &report.notes {
        say(format_args!("note: {note}"))?;
    }
    if report.problems.is_empty() {
        let live = report.entries.iter().filter(|entry| entry.state == EntryState::Live).count();
        return say(format_args!("sound: {live} objects, {}", name(&report.format)));
    }
    for problem in &report.problems {
        say(format_args!("PROBLEM: {problem}"))?;
    }
    bail!(
        "{}: {} problems; `casemate nvm repair` saves what is intact",
        path.display(),
        report.problems.len()
    )
}

fn diff(before: &Path, after: &Path, shape: &Shape) -> Result<()> {
    let objects = |path: &Path| -> Result<Vec<Object>> {
        let image = read_image(path)?;
        let format = shape.of(&image).with_context(|| path.display().to_string())?;
        let report = Report::new(&image, format)?;
        for problem in &report.problems {
            eprintln!("warning: {}: {problem}", path.display());
        }
        Ok(report.objects(&image))
    };
    let changes = difference(&objects(before)?, &objects(after)?);
    for change in &changes {
        let id = change.id();
        match change {
            Change::Added(object) => say(format_args!("+ {id} {}", describe(object)))?,
            Change::Removed(object) => say(format_args!("- {id} {}", describe(object)))?,
            Change::Changed { before, after } => say(format_args!("! {id} {}", changed(before, after)))?,
        }
    }
    ensure!(changes.is_empty(), "{} objects differ", changes.len());
    say("the same objects")
}

fn describe(object: &Object) -> String {
    let metadata = &object.metadata;
    format!(
        "{}, {} bytes, {}, \"{}\"",
        object_kind(metadata.id),
        metadata.length,
        flag_names(metadata.flags),
        label(metadata)
    )
}

/// What differs between two versions of an object.
fn changed(before: &Object, after: &Object) -> String {
    let (old, new) = (&before.metadata, &after.metadata);
    let mut parts = Vec::new();
    let mut part = |name: &str, old: String, new: String| {
        if old != new {
            parts.push(format!("{name} {old} -> {new}"));
        }
    };
    part("label", label(old), label(new));
    part("flags", flag_names(old.flags), flag_names(new.flags));
    part("access", format!("{:#06x}", old.access), format!("{:#06x}", new.access));
    part("bytes", old.length.to_string(), new.length.to_string());
    if before.data != after.data {
        parts.push("data".to_owned());
    }
    if parts.is_empty() {
        // Behind the zero that ends the text.
        parts.push("label".to_owned());
    }
    parts.join(", ")
}

fn hex(
    path: &Path,
    out: Option<&Path>,
    notation: NotationName,
    base: u32,
    skip: Option<u8>,
    force: bool,
) -> Result<()> {
    let image = read_image(path)?;
    let text = match notation {
        NotationName::Intel => text::write(Notation::IntelHex, &image, base, skip)?,
        NotationName::Srecord => text::write(Notation::SRecord, &image, base, skip)?,
        NotationName::Binary => {
            let out = out.context("name the file for the image with --out")?;
            return write_file(out, &image, force, Permissions::Private);
        }
    };
    match out {
        Some(out) => write_file(out, text.as_bytes(), force, Permissions::Private),
        None => print(&*text),
    }
}

fn repair(report: &Report, image: &[u8], out: &Path, force: bool) -> Result<()> {
    let repaired = report.repair(image)?;
    write_file(out, &repaired.image, force, Permissions::Private)?;
    let list = |ids: &[ObjectId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    say(format_args!("{}: {} objects saved", out.display(), repaired.kept.len()))?;
    if !repaired.older.is_empty() {
        say(format_args!("in an older version, the newest being damaged: {}", list(&repaired.older)))?;
    }
    if !repaired.lost.is_empty() {
        say(format_args!("lost: {}", list(&repaired.lost)))?;
    }
    Ok(())
}

fn name(format: &Format) -> String {
    let (layout, count, sums) = match format.layout {
        Layout::Flash { entries, checksums: true } => ("flash", entries, ", with checksums"),
        Layout::Flash { entries, checksums: false } => ("flash", entries, ""),
        Layout::Log { objects } => ("log", objects, ""),
    };
    format!("layout {layout}, partitions of {} bytes, {count} objects{sums}", format.partition_size)
}

/// The label, or what stands in its place.
fn label(metadata: &Metadata) -> String {
    let [a, b, c, d, e, f, g, h, ..] = metadata.label.0;
    match metadata.id.object_type() {
        ObjectType::COUNTER => format!("value {}", u32::from_le_bytes([a, b, c, d])),
        ObjectType::SHE => {
            let (counter, flags) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
            format!("counter {counter}, flags {flags:#x}")
        }
        _ => metadata.label.to_string(),
    }
}

/// An image from a file: the bytes themselves, Intel HEX or S-records.
fn read_image(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let length = file.metadata().with_context(failed)?.len();
    ensure!(length <= MAX_FILE, "{}: {length} bytes are too many for an image", path.display());
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length)?.saturating_add(1)));
    file.take(MAX_FILE).read_to_end(&mut bytes).with_context(failed)?;
    match text::detect(&bytes) {
        // An image is even in length and begins with binary words; text is taken for text.
        Some(notation) => {
            let read = text::read(notation, &bytes, 0xFF);
            Ok(read.with_context(|| path.display().to_string())?.1)
        }
        None => Ok(bytes),
    }
}

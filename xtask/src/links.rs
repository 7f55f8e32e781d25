//! The links of the Markdown files: each relative one has to lead to a file or folder that is there, and each anchor to a
//! heading. A path of this repository in `code` has to be there too. Links to other sites are not followed.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders at the root, of which a path in code begins with one.
const ROOTS: &[&str] = &["crates/", "docs/", "fuzz/", "micropython/", "ports/", "xtask/"];

/// Names in paths that stand for others: what is to be made, and is not there.
const PLACEHOLDERS: &[&str] = &["GROUP", "NAME", "mychip"];

/// Checks every Markdown file below `root`; the error lists what leads nowhere. Answers the number of files and links.
pub(crate) fn check(root: &Path) -> Result<(usize, usize), String> {
    let mut files = Vec::new();
    markdown_files(root, &mut files);
    let (mut count, mut broken) = (0, Vec::new());
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).display();
        for (number, line) in lines_outside_blocks(&text) {
            for target in targets(line) {
                count += 1;
                if let Err(fault) = follow(root, file, &text, target) {
                    broken.push(format!("{name}:{number}: {fault}"));
                }
            }
        }
    }
    if broken.is_empty() { Ok((files.len(), count)) } else { Err(broken.join("\n")) }
}

/// Markdown files below a folder, without build folders, hidden ones and other repositories.
fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            if !path.join(".git").exists() && !path.join("CACHEDIR.TAG").exists() {
                markdown_files(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines of a text with their numbers, without blocks between fences and indented ones.
fn lines_outside_blocks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fence && !is_fenced && !line.starts_with("    ")
    })
}

/// Where something in a line leads.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    /// `[text](target)`.
    Link(&'a str),
    /// A path of this repository in code.
    Path(&'a str),
}

/// Links and paths of a line.
fn targets(line: &str) -> Vec<Target<'_>> {
    let mut found = Vec::new();
    for (part, is_code) in line.split('`').zip([false, true].into_iter().cycle()) {
        let is_path = |part: &&str| {
            ROOTS.iter().any(|root| part.starts_with(root))
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter))
                && !PLACEHOLDERS.iter().any(|name| part.contains(name))
        };
        if is_code && let Some(path) = Some(part).filter(is_path) {
            found.push(Target::Path(path));
        }
    }
    // The text of a link may be in code, its target is not.
    for after in line.split("](").skip(1) {
        if let Some((target, _)) = after.split_once(')') {
            found.push(Target::Link(target));
        }
    }
    found
}

/// Follows one target.
fn follow(root: &Path, file: &Path, text: &str, target: Target<'_>) -> Result<(), String> {
    let target = match target {
        Target::Path(path) if root.join(path).exists() => return Ok(()),
        Target::Path(path) => return Err(format!("`{path}` is not in this repository")),
        Target::Link(target) => target,
    };
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let place = if path.is_empty() { file.to_owned() } else { file.with_file_name("").join(path) };
    if !place.exists() {
        return Err(format!("the link `{target}` leads to no file"));
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let other;
    let text = if path.is_empty() {
        text
    } else {
        other = fs::read_to_string(&place).map_err(|error| format!("the link `{target}`: {error}"))?;
        &other
    };
    if anchors(text).iter().any(|found| found == anchor) {
        Ok(())
    } else {
        Err(format!("the link `{target}` leads to no heading of that file"))
    }
}

/// The anchors of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in lines_outside_blocks(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let anchor: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let is_another = |one: &&String| {
            one.strip_prefix(&anchor).is_some_and(|rest| {
                rest.is_empty()
                    || rest.strip_prefix('-').is_some_and(|number| number.parse::<usize>().is_ok())
            })
        };
        match found.iter().filter(is_another).count() {
            0 => found.push(anchor),
            earlier => found.push(format!("{anchor}-{earlier}")),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_this_repository_leads_somewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        match check(&root) {
            // Fewer than this, and the search itself is broken.
            Ok((files, links)) => assert!(files > 20 && links > 100, "{files} files, {links} links"),
            Err(broken) => panic!("{broken}"),
        }
    }

    #[test]
    fn links_and_paths_are_found_in_a_line() {
        assert_eq!(
            targets("See [`one`](a.md#b), `docs/x.md`, `ports/mychip`, [two](https://c/) and `cargo doc`."),
            [Target::Path("docs/x.md"), Target::Link("a.md#b"), Target::Link("https://c/")]
        );
        let text = "a\n```\n[b](c)\n```\n    [d](e)\n[f](g)\n";
        assert_eq!(lines_outside_blocks(text).collect::<Vec<_>>(), [(1, "a"), (6, "[f](g)")]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# Why `this`, not that?\n## Keys\n## Keys\n```\n# no heading\n```\n#hash\n";
        assert_eq!(anchors(text), ["why-this-not-that", "keys", "keys-1"]);
    }

    #[test]
    fn what_leads_nowhere_is_named_with_its_place() {
        let root = std::env::temp_dir().join(format!("casemate-links-{}", std::process::id()));
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::write(root.join("README.md"), "[a](docs/a.md#there) [a](docs/a.md#gone)\n[b](docs/b.md)\n")
            .unwrap();
        fs::write(root.join("docs/a.md"), "# There\n`docs/c.md` [up](../README.md) [self](#there)\n")
            .unwrap();
        let broken = check(&root).unwrap_err();
        fs::remove_dir_all(root).unwrap();
        assert_eq!(
            broken.lines().collect::<Vec<_>>(),
            [
                "README.md:1: the link `docs/a.md#gone` leads to no heading of that file",
                "README.md:2: the link `docs/b.md` leads to no file",
                "docs/a.md:2: `docs/c.md` is not in this repository",
            ]
        );
    }
}

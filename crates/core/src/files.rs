//! Reads files of an untrusted repository: only within the repository, only regular files, and only up to a
//! size limit. All reading of repository files goes through this module.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

/// The maximum size of a file, in bytes. Bundles of CRDs are about a tenth of it.
pub const LARGEST: u64 = 32 * 1024 * 1024;

/// The maximum number of symbolic links in the path of one file.
const LINKS: usize = 40;

/// Why a repository file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not found.
    Missing,
    /// Outside the repository, by its path or through a symbolic link.
    Outside(Option<PathBuf>),
    /// A loop of symbolic links.
    Loop,
    /// A device, a pipe or a socket.
    Special,
    /// A folder.
    Folder,
    /// Exceeds the size limit.
    TooLarge,
    /// Not valid UTF-8.
    NoText,
    /// Another I/O error.
    Unreadable(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::Outside(None) => f.write_str("it is outside of the repository"),
            Self::Outside(Some(link)) => {
                write!(f, "symbolic link {} points outside of the repository", link.display())
            }
            Self::Loop => f.write_str("its symbolic links form a loop"),
            Self::Special => f.write_str("it is a device, a pipe or a socket, not a file"),
            Self::Folder => f.write_str("it is a folder"),
            Self::TooLarge => write!(f, "it is larger than {} MiB", LARGEST / 1024 / 1024),
            Self::NoText => f.write_str("it is not UTF-8"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}

/// A file or folder in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Its path relative to the root, with links resolved.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The symbolic links in its path, each with its target, relative to its own location.
    pub links: BTreeMap<PathBuf, PathBuf>,
}

/// Resolves `path` within `root`, which must be canonical. An absolute path must begin with `root`.
pub fn find(root: &Path, path: &Path) -> Result<Found, Refusal> {
    let mut found = Found { is_folder: true, ..Found::default() };
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let relative =
        if path.is_absolute() { path.strip_prefix(root).map_err(|_| Refusal::Outside(None))? } else { path };
    push_front(&mut ahead, relative);
    let mut link: Option<PathBuf> = None;
    while let Some(name) = ahead.pop_front() {
        if name == "." {
            continue;
        }
        if name == ".." {
            if !found.path.pop() {
                return Err(Refusal::Outside(link));
            }
            found.is_folder = true;
            continue;
        }
        if !found.is_folder {
            return Err(Refusal::Missing);
        }
        let here = found.path.join(&name);
        let kind = std::fs::symlink_metadata(root.join(&here)).map_err(|error| refusal(&error))?.file_type();
        if kind.is_symlink() {
            if found.links.len() >= LINKS || found.links.contains_key(&here) {
                return Err(Refusal::Loop);
            }
            let target = std::fs::read_link(root.join(&here)).map_err(|error| refusal(&error))?;
            let target = if target.is_absolute() {
                let within = target.strip_prefix(root).map_err(|_| Refusal::Outside(Some(here.clone())))?;
                relative_to(&found.path, within)
            } else {
                target
            };
            push_front(&mut ahead, &target);
            found.links.insert(here.clone(), target);
            link = Some(here);
        } else if kind.is_dir() || kind.is_file() {
            found.is_folder = kind.is_dir();
            found.path = here;
        } else {
            return Err(Refusal::Special);
        }
    }
    Ok(found)
}

fn push_front(ahead: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

/// The relative path from the folder `from` to `to`; both are normalized, and relative to the same root.
pub fn relative_to(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.components().skip(common)).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

fn refusal(error: &std::io::Error) -> Refusal {
    use std::io::ErrorKind;
    let is_no_name = error.raw_os_error() == Some(rustix::io::Errno::NAMETOOLONG.raw_os_error());
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => Refusal::Missing,
        _ if is_no_name => Refusal::Missing,
        _ => Refusal::Unreadable(error.to_string()),
    }
}

/// Reads a file of the repository `root`.
pub fn read(root: &Path, path: &Path) -> Result<Vec<u8>, Refusal> {
    let found = find(root, path)?;
    if found.is_folder { Err(Refusal::Folder) } else { read_regular(&root.join(found.path)) }
}

/// Reads a text file of the repository `root`.
pub fn read_text(root: &Path, path: &Path) -> Result<String, Refusal> {
    String::from_utf8(read(root, path)?).map_err(|_| Refusal::NoText)
}

/// Whether the repository `root` has a file at this path.
pub fn is_file(root: &Path, path: &Path) -> bool {
    find(root, path).is_ok_and(|found| !found.is_folder)
}

/// Whether the repository `root` has a folder at this path.
pub fn is_folder(root: &Path, path: &Path) -> bool {
    find(root, path).is_ok_and(|found| found.is_folder)
}

/// Opens a file without following links. `O_NONBLOCK`, so that opening a pipe does not block.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY).bits();
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path)
}

/// The content of a file; none if it exceeds `largest` bytes.
pub fn read_up_to(largest: u64, file: File) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    file.take(largest + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= largest).then_some(content))
}

/// Reads a file if it is a regular file and not a link.
pub fn read_regular(path: &Path) -> Result<Vec<u8>, Refusal> {
    let file = open(path).map_err(|error| refusal(&error))?;
    let metadata = file.metadata().map_err(|error| refusal(&error))?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { Refusal::Folder } else { Refusal::Special });
    }
    if metadata.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    read_up_to(LARGEST, file).map_err(|error| refusal(&error))?.ok_or(Refusal::TooLarge)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_in_the_repository_is_found() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().canonicalize().unwrap();
        let root = folder.join("repository");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/x.yaml"), "x").unwrap();
        fs::write(folder.join("secret"), "s").unwrap();
        for (link, target) in [
            ("in", "a/b".into()),
            ("deep", "in/x.yaml".into()),
            ("a/up", "../a/b".into()),
            ("absolute", root.join("a").display().to_string()),
            ("out", "../secret".to_owned()),
            ("far", folder.join("secret").display().to_string()),
            ("chain", "out".to_owned()),
            ("folder-out", "..".to_owned()),
            ("loop", "loop".to_owned()),
            ("gone", "nowhere".to_owned()),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let outside_by = |link: &str| Err(Refusal::Outside(Some(link.into())));
        let table: [(&str, Result<&str, Refusal>); 17] = [
            ("a/b/x.yaml", Ok("a/b/x.yaml")),
            ("./a/../a/b/x.yaml", Ok("a/b/x.yaml")),
            ("in/x.yaml", Ok("a/b/x.yaml")),
            ("deep", Ok("a/b/x.yaml")),
            ("a/up/x.yaml", Ok("a/b/x.yaml")),
            ("absolute/b/x.yaml", Ok("a/b/x.yaml")),
            ("", Ok("")),
            ("out", outside_by("out")),
            ("far", outside_by("far")),
            ("chain", outside_by("out")),
            ("folder-out/secret", outside_by("folder-out")),
            ("../secret", Err(Refusal::Outside(None))),
            ("a/../../secret", Err(Refusal::Outside(None))),
            ("/etc/passwd", Err(Refusal::Outside(None))),
            ("loop", Err(Refusal::Loop)),
            ("gone", Err(Refusal::Missing)),
            ("a/b/x.yaml/y", Err(Refusal::Missing)),
        ];
        for (path, expected) in table {
            let found = find(&root, Path::new(path)).map(|found| found.path);
            assert_eq!(found, expected.map(PathBuf::from), "{path}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(&root, Path::new("pipe")), Err(Refusal::Special));
        assert_eq!(read_regular(&root.join("pipe")), Err(Refusal::Special));
        assert_eq!(read_regular(Path::new("/dev/zero")), Err(Refusal::Special));
        let large = fs::File::create(root.join("large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!(read(&root, Path::new("large")), Err(Refusal::TooLarge));
        assert_eq!(read(&root, Path::new(".")), Err(Refusal::Folder));
    }

    #[test]
    fn a_way_from_one_folder_to_another() {
        for (from, to, expected) in
            [("a/b", "a/c/d", "../c/d"), ("", "x", "x"), ("a", "", ".."), ("a", "a", "."), ("a", "a/b", "b")]
        {
            assert_eq!(relative_to(Path::new(from), Path::new(to)), Path::new(expected), "{from} {to}");
        }
    }
}

//! Finds files in layers of an image, from the top one down: a layer replaces, links or removes what is below
//! it. An archive is one layer.

use std::fs::{File, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::download::{Missed, wrong};
use bootstrapper_core::failure::Failure;

const MIB: u64 = 1024 * 1024;

/// No layer unpacks to more.
const LARGEST_LAYER: u64 = 4096 * MIB;

/// No program is larger.
const LARGEST_PROGRAM: u64 = 1024 * MIB;

/// How many links lead to a file.
const MOST_LINKS: usize = 8;

/// A file that is searched for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name in the folder that it is written to.
    pub(super) name: &'static str,
    path: PathBuf,
    links: usize,
    /// The number of layers in which it is not.
    depth: usize,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Searched,
    Found,
    /// It is not in this image, and why.
    Missing(String),
}

impl Wanted {
    pub(super) fn new(name: &'static str, path: &str) -> Self {
        Self { name, path: normal(Path::new(path)), links: 0, depth: 0, state: State::Searched }
    }

    /// The layer in which to search next.
    pub(super) fn next_layer(&self) -> Option<usize> {
        (self.state == State::Searched).then_some(self.depth)
    }

    /// Why it cannot be found, after all layers were searched.
    pub(super) fn missing(&self) -> Option<String> {
        match &self.state {
            State::Found => None,
            State::Searched => Some(format!("it has no file /{}", self.path.display())),
            State::Missing(why) => Some(why.clone()),
        }
    }

    /// Searches at the target of a link, again from the top.
    fn follow(&mut self, target: PathBuf) {
        self.links += 1;
        self.depth = 0;
        if self.links > MOST_LINKS {
            self.state = State::Missing(format!("too many links lead to /{}", self.path.display()));
        }
        self.path = target;
    }
}

/// The search for a file in one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Searching,
    /// The layer removes it from those below, and may bring another one.
    Removed,
    /// It is found, or is a link, which begins another search.
    Over,
}

/// What an entry of a layer says of a path.
enum Said {
    Nothing,
    /// It is this file.
    File,
    /// It is elsewhere.
    Link(PathBuf),
    /// It is not in the layers below.
    Removed,
}

/// Fails if one of the files was not found in any layer of `whole`: an archive or an image.
pub(super) fn require_found(wanted: &[Wanted], whole: &str) -> Result<(), Missed> {
    let mut missing = wanted.iter().filter_map(|one| Some((one.name, one.missing()?)));
    missing.next().map_or(Ok(()), |(name, why)| {
        Err(wrong(Failure::step(format!("cannot take {name} out of {whole}")).because(why)))
    })
}

/// Searches a layer for those files whose turn it is, and writes what is found into `folder`.
pub(super) fn search(layer: &Path, index: usize, wanted: &mut [Wanted], folder: &Path) -> io::Result<()> {
    let mut here: Vec<&mut Wanted> =
        wanted.iter_mut().filter(|one| one.next_layer() == Some(index)).collect();
    let mut passes = vec![Pass::Searching; here.len()];
    let unpacked = unpacked(layer)?;
    for entry in tar::Archive::new(unpacked).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let path = normal(&entry.path()?);
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
        for (one, pass) in here.iter_mut().zip(&mut passes).filter(|(_, pass)| **pass != Pass::Over) {
            match said(&path, kind, link.as_deref(), &one.path) {
                Said::Nothing => {}
                Said::Removed => *pass = Pass::Removed,
                Said::Link(target) => {
                    one.follow(target);
                    *pass = Pass::Over;
                }
                Said::File => {
                    write(&mut entry, &folder.join(one.name))?;
                    one.state = State::Found;
                    *pass = Pass::Over;
                    break;
                }
            }
        }
        if passes.iter().all(|pass| *pass == Pass::Over) {
            return Ok(());
        }
    }
    for (one, pass) in here.into_iter().zip(passes) {
        match pass {
            Pass::Searching => one.depth += 1,
            Pass::Removed => {
                one.state = State::Missing(format!("/{} is removed from it", one.path.display()));
            }
            Pass::Over => {}
        }
    }
    Ok(())
}

/// What the entry at `path` says of the file at `wanted`.
fn said(path: &Path, kind: EntryType, link: Option<&Path>, wanted: &Path) -> Said {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
    if name == ".wh..wh..opq" {
        return if wanted.starts_with(parent) { Said::Removed } else { Said::Nothing };
    }
    if let Some(name) = name.strip_prefix(".wh.") {
        return if wanted.starts_with(parent.join(name)) { Said::Removed } else { Said::Nothing };
    }
    let Ok(rest) = wanted.strip_prefix(path) else { return Said::Nothing };
    let is_it = rest.as_os_str().is_empty();
    match (kind, link) {
        (EntryType::Symlink, Some(target)) => Said::Link(normal(&parent.join(target).join(rest))),
        (EntryType::Link, Some(target)) if is_it => Said::Link(normal(target)),
        (EntryType::Regular | EntryType::Continuous, _) if is_it => Said::File,
        (EntryType::Directory, _) if !is_it => Said::Nothing,
        (EntryType::XHeader | EntryType::XGlobalHeader, _) => Said::Nothing,
        _ => Said::Removed,
    }
}

/// A path from the root of the image, which nothing leaves.
fn normal(path: &Path) -> PathBuf {
    // The target of an absolute link begins at the root, too.
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => drop(whole.pop()),
            Component::RootDir => whole.clear(),
            Component::CurDir | Component::Prefix(_) => {}
        }
        whole
    })
}

fn unpacked(layer: &Path) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 4];
    let read = File::open(layer)?.read(&mut magic)?;
    let file = BufReader::new(File::open(layer)?);
    match &magic[..read] {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(file).take(LARGEST_LAYER))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Err(io::Error::other("it is compressed with zstd, which is not supported"))
        }
        _ => Ok(Box::new(file)),
    }
}

fn write(from: &mut impl Read, to: &Path) -> io::Result<()> {
    let mut file = File::create(to)?;
    file.set_permissions(Permissions::from_mode(0o700))?;
    let written = io::copy(&mut from.take(LARGEST_PROGRAM + 1), &mut file)?;
    if written > LARGEST_PROGRAM {
        return Err(io::Error::other(format!("a program in it has more than {} MiB", LARGEST_PROGRAM / MIB)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    enum Entry {
        File(&'static str),
        Folder,
        Link(&'static str),
        Hard(&'static str),
    }
    use Entry::{File as Is, Folder, Hard, Link};

    fn layer(entries: &[(&str, Entry)]) -> Vec<u8> {
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, entry) in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            let (kind, content) = match entry {
                Is(content) => (EntryType::Regular, *content),
                Folder => (EntryType::Directory, ""),
                Link(_) => (EntryType::Symlink, ""),
                Hard(_) => (EntryType::Link, ""),
            };
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            if let Link(target) | Hard(target) = entry {
                header.set_link_name(target).unwrap();
            }
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// The content at `path`, or why there is none; and the number of layers that were read.
    fn found(layers: &[Vec<u8>], path: &str) -> (Result<String, String>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut wanted = [Wanted::new("it", path)];
        let mut deepest = 0;
        while let Some(index) = wanted[0].next_layer().filter(|index| *index < layers.len()) {
            deepest = deepest.max(index + 1);
            let file = folder.path().join(index.to_string());
            std::fs::write(&file, &layers[index]).unwrap();
            search(&file, index, &mut wanted, folder.path()).unwrap();
        }
        let content = wanted[0]
            .missing()
            .map_or_else(|| Ok(std::fs::read_to_string(folder.path().join("it")).unwrap()), Err);
        (content, deepest)
    }

    #[test]
    fn a_file_is_that_of_the_topmost_layer_and_no_more_layers_are_read() {
        let base = layer(&[("usr/bin/x", Is("old")), ("usr/bin/other", Is("other"))]);
        let middle = layer(&[("./usr/bin/x", Is("new"))]);
        let top = layer(&[("etc/motd", Is("hello"))]);
        let layers = [top, middle, base];
        assert_eq!(found(&layers, "usr/bin/x"), (Ok("new".to_owned()), 2));
        assert_eq!(found(&layers, "/usr/bin/other"), (Ok("other".to_owned()), 3));
        assert_eq!(found(&layers, "usr/bin/y"), (Err("it has no file /usr/bin/y".to_owned()), 3));
    }

    #[test]
    fn a_whiteout_removes_what_is_below_and_nothing_else() {
        let base = layer(&[("usr/bin/x", Is("old")), ("usr/bin/xx", Is("kept"))]);
        for whiteout in ["usr/bin/.wh.x", "usr/.wh.bin", ".wh.usr", "usr/bin/.wh..wh..opq", ".wh..wh..opq"] {
            let removing = layer(&[(whiteout, Is(""))]);
            let (content, read) = found(&[removing.clone(), base.clone()], "usr/bin/x");
            assert_eq!((content.is_err(), read), (true, 1), "{whiteout}");
            // A whiteout concerns lower layers only.
            let replacing = layer(&[(whiteout, Is("")), ("usr/bin/x", Is("new"))]);
            assert_eq!(found(&[replacing, base.clone()], "usr/bin/x").0.as_deref(), Ok("new"), "{whiteout}");
        }
        let other = layer(&[("usr/bin/.wh.x", Is("")), ("opt/.wh..wh..opq", Is(""))]);
        assert_eq!(found(&[other, base.clone()], "usr/bin/xx").0.as_deref(), Ok("kept"));
        // A file in place of the folder.
        let file = layer(&[("usr/bin", Is("file"))]);
        assert!(found(&[file, base.clone()], "usr/bin/x").0.is_err());
        let folder = layer(&[("usr/bin", Folder)]);
        assert_eq!(found(&[folder, base], "usr/bin/x").0.as_deref(), Ok("old"));
    }

    #[test]
    fn links_are_followed_through_all_layers_and_never_out_of_the_image() {
        let base = layer(&[("opt/real", Is("real"))]);
        for (path, entry) in [
            ("usr/bin/x", Link("/opt/real")),
            ("usr/bin/x", Link("../../opt/real")),
            ("usr/bin/x", Link("../../../../../opt/real")),
            ("usr/bin/x", Hard("opt/real")),
        ] {
            let links = layer(&[(path, entry)]);
            assert_eq!(found(&[links, base.clone()], "usr/bin/x").0.as_deref(), Ok("real"));
        }
        // A hard link is to a file before it.
        let hard = layer(&[("opt/a", Is("a")), ("usr/bin/x", Hard("opt/a"))]);
        assert_eq!(found(&[hard], "usr/bin/x").0.as_deref(), Ok("a"));
        let of_folder = layer(&[("bin", Link("opt"))]);
        assert_eq!(found(&[of_folder, base], "bin/real").0.as_deref(), Ok("real"));
        let endless = layer(&[("a", Link("b")), ("b", Link("a"))]);
        assert!(found(&[endless], "a").0.unwrap_err().contains("too many links"));
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layer");
        let valid = layer(&[("x", Is("content"))]);
        for content in [&b"<html>no archive</html>"[..], &[0x28, 0xb5, 0x2f, 0xfd], &valid[..valid.len() / 2]]
        {
            std::fs::write(&file, content).unwrap();
            let mut wanted = [Wanted::new("it", "y")];
            assert!(search(&file, 0, &mut wanted, folder.path()).is_err(), "{content:?}");
        }
    }
}

//! Gathers all inputs of a build before kustomize starts: it can read these files only.
//!
//! Follows every reference of a kustomization. Files in the repository are read, remote resources
//! are recorded ([`super::fetch`] fetches them), and files outside are rejected, as Flux does.
//! Each kustomization is passed on as parsed by this program, so that kustomize cannot interpret the text
//! differently.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::ignore::Ignore;
use super::layout::KUSTOMIZATION_FILES;
use super::problem::{Problem, ProblemKind};
use super::references::{self, Role};
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::files::{self, Found, Refusal};
use bootstrapper_core::yaml::{self, Measure, marked_documents};
use bootstrapper_tools::{Remote, Use, remote};

/// Limits of one build: number of files, and their total size.
const FILES: usize = 20_000;
const BYTES: usize = 256 * 1024 * 1024;

/// The limit of objects that one build may read and generate. kustomize compares each with every other: twice
/// as many take 20 s, and real repositories have less than a tenth.
const OBJECTS: usize = 2_500;

/// The inputs of a build. Paths are relative to the root of the repository.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Files, with their content for kustomize.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Folders, including empty ones.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Symbolic links in their paths, each with its target.
    pub(super) links: BTreeMap<PathBuf, PathBuf>,
    /// Kustomizations and configurations, which may reference remote resources.
    pub(super) naming: BTreeMap<PathBuf, Naming>,
    /// Remote resources, and the location of their first reference.
    pub(super) remotes: BTreeMap<Remote, Option<Location>>,
    /// Whether the build is reproducible while its files are unchanged.
    pub(super) is_repeatable: bool,
}

/// A parsed file with references.
#[derive(Debug, Clone)]
pub(super) enum Naming {
    Kustomization(Value),
    Plugins(Vec<Value>),
}

/// Files with replaced content for a build, by their path from the root.
pub(super) type Others = BTreeMap<PathBuf, Vec<u8>>;

/// The source to gather from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From<'a> {
    /// The repository, or a clone of another one.
    pub(super) root: &'a Path,
    /// Files with replaced content.
    pub(super) others: &'a Others,
    /// Whether it is a clone: kustomize confines references in it to the folder of the referencing file.
    pub(super) is_clone: bool,
    /// The files that Flux excludes from the source.
    pub(super) ignore: Option<&'a Ignore>,
}

impl From<'_> {
    fn is_excluded(&self, file: &Path) -> bool {
        self.ignore.is_some_and(|ignore| ignore.excludes(file))
    }

    /// Whether a regular file exists, and is not excluded.
    fn has_file(&self, file: &Path) -> bool {
        files::is_file(self.root, file) && !self.is_excluded(file)
    }
}

/// Gathers the inputs of a folder's kustomization. `own` is its file name and content, if it differs from the
/// file.
pub(super) fn gather(from: From<'_>, folder: &Path, own: Option<(&str, Value)>) -> Result<Gathered, Problem> {
    let gathered = Gathered { is_repeatable: true, ..Gathered::default() };
    let mut gather = Gather { from, gathered, bytes: 0, objects: 0, seen: BTreeSet::new() };
    let found = gather.find(folder).map_err(|refusal| refused(folder, &refusal, None))?;
    if !found.is_folder {
        let failure = Failure::input(format!("{} is not a folder", folder.display()));
        return Err(Problem::new(ProblemKind::UnbuildableKustomization, failure));
    }
    gather.gathered.folders.insert(found.path.clone());
    match own {
        None => gather.folder(&found.path, false)?,
        Some((name, value)) => {
            gather.seen.insert((found.path.clone(), false));
            for other in KUSTOMIZATION_FILES.iter().filter(|other| **other != name) {
                // kustomize rejects two of them.
                let file = found.path.join(other);
                if from.has_file(&file) {
                    gather.add(&file, Role::Content, None)?;
                }
            }
            gather.kustomization(&found.path.join(name), value, false)?;
        }
    }
    Ok(gather.gathered)
}

struct Gather<'a> {
    from: From<'a>,
    gathered: Gathered,
    bytes: usize,
    objects: usize,
    /// Folders, and whether they contain configurations.
    seen: BTreeSet<(PathBuf, bool)>,
}

impl Gather<'_> {
    fn find(&mut self, path: &Path) -> Result<Found, Refusal> {
        let found = files::find(self.from.root, path)?;
        if !found.is_folder && self.from.is_excluded(path) {
            return Err(Refusal::Missing);
        }
        if !found.links.is_empty() {
            self.gathered.is_repeatable = false;
            self.gathered.links.extend(found.links.clone());
        }
        Ok(found)
    }

    fn folder(&mut self, folder: &Path, is_plugin: bool) -> Result<(), Problem> {
        if !self.seen.insert((folder.to_owned(), is_plugin)) {
            return Ok(());
        }
        self.gathered.folders.insert(folder.to_owned());
        let names = KUSTOMIZATION_FILES.iter().map(|name| folder.join(name));
        let present: Vec<PathBuf> = names.filter(|file| self.from.has_file(file)).collect();
        if present.is_empty() {
            self.gathered.is_repeatable = false;
        }
        for file in present {
            let place = self.place(&file, None);
            let refused = |refusal: &Refusal| refused(&file, refusal, place.clone());
            // It belongs to this folder, regardless of symbolic links.
            let found = files::find(self.from.root, &file).map_err(|refusal| refused(&refusal))?;
            self.gathered.is_repeatable &= found.links.is_empty();
            let content = match self.from.others.get(&file) {
                Some(other) => other.clone(),
                None => files::read_regular(&self.from.root.join(&found.path))
                    .map_err(|refusal| refused(&refusal))?,
            };
            let text = String::from_utf8_lossy(&content).into_owned();
            self.measured(&text, &file)?;
            let value = yaml::from_str::<Value>(&text, &file).map_err(unbuildable)?;
            self.kustomization(&file, value, is_plugin)?;
        }
        Ok(())
    }

    fn kustomization(&mut self, file: &Path, mut value: Value, is_plugin: bool) -> Result<(), Problem> {
        if let Some(field) = references::charts(&value) {
            let failure = Failure::input(format!("{} has {field}", file.display()))
                .because("Flux does not inflate charts: its kustomize cannot run Helm")
                .hint("declare a HelmRelease instead");
            return Err(self.placed(ProblemKind::UnbuildableKustomization, failure, file, Some(field)));
        }
        if is_plugin && !references::is_plain(&value) {
            let failure = Failure::input(format!("{} generates and changes configurations", file.display()))
                .because("a kustomization of generators or transformers can have only `resources`")
                .hint("move the generated configuration into a file");
            return Err(self.placed(ProblemKind::UnbuildableKustomization, failure, file, None));
        }
        self.count_objects(references::generators(&value), file)?;
        let mut texts = Vec::new();
        references::inline(&value, &mut texts);
        if let Some((text, excess)) = texts.iter().find_map(|text| Some((*text, yaml::excess(text)?))) {
            let failure = Failure::input(format!("cannot read {}", file.display())).because(excess.what);
            return Err(self.placed(ProblemKind::ExcessiveInput, failure, file, Some(text)));
        }
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        references::of_kustomization(&mut value, &mut |text: &mut String, role| match role {
            Role::Resource if is_plugin => self.reference(text, Role::Plugin, &folder, file),
            _ => self.named(text, role, &folder, file),
        })?;
        self.write(file, Naming::Kustomization(value))
    }

    /// Follows a reference of a kustomization.
    fn named(&mut self, text: &mut String, role: Role, folder: &Path, file: &Path) -> Result<(), Problem> {
        if role != Role::Plugin {
            return self.reference(text, role, folder, file);
        }
        // kustomize tries to parse it as configurations, then as a path.
        let all: Vec<Value> = yaml::from_multiple(text, file).unwrap_or_default();
        let mut all: Vec<Value> = all.into_iter().filter(|one| !one.is_null()).collect();
        if all.is_empty() || !all.iter().all(Value::is_object) {
            return self.reference(text, role, folder, file);
        }
        self.configurations(&mut all, folder, file)?;
        *text = Naming::Plugins(all).text();
        Ok(())
    }

    /// Follows a reference.
    fn reference(&mut self, text: &str, role: Role, folder: &Path, file: &Path) -> Result<(), Problem> {
        let interpretation = role.interpretation();
        let path = within(folder, text);
        let is_here = path.as_ref().is_some_and(|path| self.from.has_file(path));
        match remote(text, interpretation) {
            // kustomize tries a file first, whatever its name.
            Ok(Some(Remote::Base(_))) | Err(_) if is_here && interpretation == Use::Any && !is_web(text) => {}
            Err(refused) => {
                let shown = shown(text);
                let failure = Failure::input(format!(
                    "{} references {shown}, which is not allowed",
                    file.display()
                ))
                .because(refused)
                .hint(
                    "use an https:// address with a branch, tag or commit, or keep a copy in the repository",
                );
                return Err(self.placed(ProblemKind::RefusedAddress, failure, file, Some(text)));
            }
            Ok(Some(_)) if role == Role::Plugin => {
                // Its references could be any files of this machine.
                let failure = Failure::input(format!(
                    "{} references {}, which is not allowed",
                    file.display(),
                    shown(text)
                ))
                .because("it would configure a generator or transformer")
                .hint("keep a copy in the repository");
                return Err(self.placed(ProblemKind::RefusedAddress, failure, file, Some(text)));
            }
            Ok(Some(remote)) => {
                self.gathered.is_repeatable &= remote.is_pinned();
                let place = self.place(file, Some(text));
                self.gathered.remotes.entry(remote).or_insert(place);
                return Ok(());
            }
            Ok(None) => {}
        }
        let place = self.place(file, Some(text));
        let Some(path) = path.filter(|_| !Path::new(text).is_absolute()) else {
            return Err(refused(Path::new(text), &Refusal::Outside(None), place));
        };
        let found = match self.find(&path) {
            Ok(found) => found,
            Err(Refusal::Missing) if role == Role::Plugin => {
                let failure = Failure::input(format!(
                    "{} references something that is neither a file nor a configuration",
                    file.display()
                ));
                return Err(self.placed(ProblemKind::UnbuildableKustomization, failure, file, Some(text)));
            }
            // An inline patch.
            Err(Refusal::Missing) if role == Role::YamlOrText && text.contains('\n') => return Ok(()),
            Err(Refusal::Missing) => {
                // kustomize reports the missing file.
                self.gathered.is_repeatable = false;
                return Ok(());
            }
            Err(refusal) => return Err(refused(&path, &refusal, place)),
        };
        if self.from.is_clone && !found.is_folder && !found.path.starts_with(folder) {
            return Err(refused(&path, &Refusal::Outside(None), place));
        }
        match (role, found.is_folder) {
            (Role::Resource | Role::Component, true) => self.folder(&found.path, false),
            (Role::Plugin, true) => self.folder(&found.path, true),
            (Role::Plugin, false) => {
                let Some((real, content)) = self.add(&path, role, place.as_ref())? else { return Ok(()) };
                self.plugins(&real, &content, folder, file)
            }
            (_, false) => self.add(&path, role, place.as_ref()).map(drop),
            (_, true) => Ok(()),
        }
    }

    /// Configurations in their own file, with references relative to the kustomization's folder.
    fn plugins(&mut self, real: &Path, content: &str, folder: &Path, file: &Path) -> Result<(), Problem> {
        if self.gathered.naming.contains_key(real) {
            return Ok(());
        }
        let all: Vec<Value> = yaml::from_multiple(content, real).map_err(unbuildable)?;
        let mut all: Vec<Value> = all.into_iter().filter(|one| !one.is_null()).collect();
        self.configurations(&mut all, folder, file)?;
        self.write(real, Naming::Plugins(all))
    }

    /// Follows the references of configurations.
    fn configurations(&mut self, all: &mut [Value], folder: &Path, file: &Path) -> Result<(), Problem> {
        self.gathered.is_repeatable = false;
        all.iter_mut().try_for_each(|one| {
            references::of_plugin(one, &mut |text: &mut String, role| {
                self.of_plugin(text, role, folder, file)
            })
        })
    }

    /// A reference of a configuration. It is not rewritten, so it must not be remote.
    fn of_plugin(&mut self, text: &str, role: Role, folder: &Path, file: &Path) -> Result<(), Problem> {
        if is_web(text) {
            let failure = Failure::input(format!(
                "{} references {}, which is not allowed",
                file.display(),
                shown(text)
            ))
            .because("the configuration of a generator or transformer references a remote resource")
            .hint("keep a copy in the repository");
            return Err(self.placed(ProblemKind::RefusedAddress, failure, file, Some(text)));
        }
        self.reference(text, role, folder, file)
    }

    /// Adds a file. None if it was added already.
    fn add(
        &mut self,
        path: &Path,
        role: Role,
        place: Option<&Location>,
    ) -> Result<Option<(PathBuf, String)>, Problem> {
        let found = self.find(path).map_err(|refusal| refused(path, &refusal, place.cloned()))?;
        if self.gathered.files.contains_key(&found.path) && role != Role::Plugin {
            return Ok(None);
        }
        let content = match self.from.others.get(&found.path).or_else(|| self.from.others.get(path)) {
            Some(other) => Ok(other.clone()),
            None => files::read_regular(&self.from.root.join(&found.path)),
        };
        let content = content.map_err(|refusal| refused(path, &refusal, place.cloned()))?;
        self.count(content.len(), &found.path)?;
        let mut text = String::new();
        if role != Role::Content {
            text = String::from_utf8_lossy(&content).into_owned();
            let Measure { objects } = self.measured(&text, &found.path)?;
            if role == Role::Resource {
                self.count_objects(objects, &found.path)?;
            }
        }
        self.gathered.files.insert(found.path.clone(), content);
        Ok(Some((found.path, text)))
    }

    fn measured(&self, text: &str, file: &Path) -> Result<Measure, Problem> {
        yaml::measure(text).map_err(|excess| {
            let failure = Failure::input(format!("cannot read {}", file.display())).because(excess.what);
            let place = Location { file: file.to_owned(), line: excess.line, column: excess.column };
            let failure = if self.from.is_clone { failure } else { failure.at(place) };
            Problem::new(ProblemKind::ExcessiveInput, failure)
        })
    }

    fn count_objects(&mut self, more: usize, file: &Path) -> Result<(), Problem> {
        self.objects = self.objects.saturating_add(more);
        if self.objects <= OBJECTS {
            return Ok(());
        }
        let failure = Failure::input(format!("{} was not read", file.display()))
            .because(format!("the build has more than {OBJECTS} objects, which kustomize compares pairwise"))
            .hint("split it into several Kustomizations");
        Err(Problem::new(ProblemKind::ExcessiveInput, failure))
    }

    fn count(&mut self, bytes: usize, path: &Path) -> Result<(), Problem> {
        self.bytes = self.bytes.saturating_add(bytes);
        let why = if self.gathered.files.len() >= FILES {
            format!("the build reads more than {FILES} files")
        } else if self.bytes > BYTES {
            format!("the build reads more than {} MiB", BYTES / 1024 / 1024)
        } else {
            return Ok(());
        };
        let failure = Failure::input(format!("{} was not read", path.display())).because(why);
        Err(Problem::new(ProblemKind::ExcessiveInput, failure))
    }

    fn write(&mut self, file: &Path, naming: Naming) -> Result<(), Problem> {
        let content = naming.text().into_bytes();
        self.count(content.len(), file)?;
        self.gathered.files.insert(file.to_owned(), content);
        self.gathered.naming.insert(file.to_owned(), naming);
        Ok(())
    }

    fn placed(&self, kind: ProblemKind, failure: Failure, file: &Path, text: Option<&str>) -> Problem {
        Problem::new(
            kind,
            match self.place(file, text) {
                Some(place) => failure.at(place),
                None => failure,
            },
        )
    }

    /// The location of a text in a file of the repository.
    fn place(&self, file: &Path, text: Option<&str>) -> Option<Location> {
        if self.from.is_clone {
            return None;
        }
        let written = files::read_text(self.from.root, file).ok()?;
        let documents = marked_documents(&written);
        let place = text.and_then(|text| {
            let fitting = |document: &yaml::Marked| {
                let whole = document.scalar(text);
                // Generators reference files as `key=file`.
                let is_of_key = |own: &str| own.split_once('=').is_some_and(|(_, file)| file == text);
                let with_key = || document.find_scalar(&is_of_key);
                whole.or_else(with_key).or_else(|| document.get(text).map(|_| document.place(text)))
            };
            documents.iter().find_map(fitting)
        });
        let (line, column) = place.unwrap_or((1, 1));
        Some(Location { file: file.to_owned(), line, column })
    }
}

impl Naming {
    /// The kustomization's text for kustomize.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Kustomization(value) => value.to_string(),
            Self::Plugins(all) => all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n"),
        }
    }
}

/// The problem of a file that is not read, at the location of its reference.
fn refused(path: &Path, refusal: &Refusal, place: Option<Location>) -> Problem {
    let failure = Failure::input(format!("{} was not read", path.display())).because(refusal);
    let (kind, failure) = match refusal {
        Refusal::Outside(_) => (
            ProblemKind::OutsideRepository,
            failure.hint("move it into the repository: Flux builds only from the repository"),
        ),
        Refusal::TooLarge | Refusal::Special | Refusal::Loop => (ProblemKind::ExcessiveInput, failure),
        Refusal::Missing | Refusal::Folder | Refusal::NoText | Refusal::Unreadable(_) => {
            (ProblemKind::UnbuildableKustomization, failure)
        }
    };
    Problem::new(
        kind,
        match place {
            Some(place) => failure.at(place),
            None => failure,
        },
    )
}

fn unbuildable(failure: Failure) -> Problem {
    Problem::new(ProblemKind::UnbuildableKustomization, failure)
}

fn is_web(text: &str) -> bool {
    ["http:", "https:"]
        .iter()
        .any(|one| text.get(..one.len()).is_some_and(|start| start.eq_ignore_ascii_case(one)))
}

/// A URL for display: short, and without a possible password.
fn shown(address: &str) -> String {
    let address: String = address.chars().take(200).collect();
    match address.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://…@{host}"),
        None => address,
    }
}

/// Resolves a path in a folder; none if it leaves the root. As in kustomize, `..` is resolved lexically,
/// regardless of symbolic links.
fn within(folder: &Path, text: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn repository(kustomization: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/kustomization.yaml", kustomization);
        write("a/here.yaml", "");
        write("base/kustomization.yaml", "resources: [b.yaml]\n");
        write("base/b.yaml", "");
        write("values.yaml", "");
        write("plugin.yaml", "kind: PatchTransformer\npath: ../base/b.yaml\n");
        write("plugin-out.yaml", "kind: PatchTransformer\npath: /etc/hostname\n");
        symlink("/etc/hostname", root.path().join("a/out")).unwrap();
        symlink("../values.yaml", root.path().join("a/in")).unwrap();
        root
    }

    fn gathered(kustomization: &str) -> Result<Gathered, Problem> {
        let root = repository(kustomization);
        let root = root.path().canonicalize().unwrap();
        gather(
            From { root: &root, others: &BTreeMap::new(), is_clone: false, ignore: None },
            Path::new("a"),
            None,
        )
    }

    #[test]
    fn every_file_that_a_build_reads_is_gathered() {
        let table: [(&str, &str, bool); 14] = [
            ("{resources: [here.yaml]}", "a/here.yaml", true),
            ("{resources: [../base, ./here.yaml]}", "a/here.yaml base/b.yaml base/kustomization.yaml", true),
            ("{configMapGenerator: [{name: v, files: [values.yaml=../values.yaml]}]}", "values.yaml", true),
            ("{patches: [{path: here.yaml}], namespace: base}", "a/here.yaml", true),
            ("{patches: [{patch: \"a: b\\nc: https://x.test\\n\"}]}", "", true),
            ("{resources: [\"https://x.test/a/v1.6.3/b.yaml\"]}", "", true),
            ("{resources: [\"https://x.test/a/main/b.yaml\"]}", "", false),
            ("{resources: [missing.yaml]}", "", false),
            ("{resources: [in]}", "values.yaml", false),
            ("{transformers: [../plugin.yaml]}", "base/b.yaml plugin.yaml", false),
            ("{transformers: [\"kind: PatchTransformer\\npath: here.yaml\\n\"]}", "a/here.yaml", false),
            ("{Resources: [here.yaml]}", "a/here.yaml", true),
            ("{patchesStrategicMerge: [\"a: b\\nc: d\\n\", here.yaml]}", "a/here.yaml", true),
            ("{openapi: {path: here.yaml}, crds: [../values.yaml]}", "a/here.yaml values.yaml", true),
        ];
        for (kustomization, expected, repeatable) in table {
            let gathered = gathered(kustomization).unwrap();
            let names = gathered.files.keys().map(|file| file.display().to_string());
            let names: Vec<String> = names.filter(|file| file != "a/kustomization.yaml").collect();
            assert_eq!(
                (names.join(" ").as_str(), gathered.is_repeatable),
                (expected, repeatable),
                "{kustomization}"
            );
        }
    }

    #[test]
    fn what_lies_outside_is_refused_with_its_place() {
        use ProblemKind::{ExcessiveInput, OutsideRepository, RefusedAddress, UnbuildableKustomization};
        let table: [(&str, ProblemKind); 19] = [
            ("resources: [../../elsewhere.yaml]", OutsideRepository),
            ("resources:\n- ../..", OutsideRepository),
            ("resources: [/etc/hostname]", OutsideRepository),
            ("resources: [out]", OutsideRepository),
            ("configMapGenerator: [{name: x, files: [k=/etc/hostname]}]", OutsideRepository),
            ("secretGenerator: [{name: x, envs: [out]}]", OutsideRepository),
            ("patches: [{path: /etc/hostname}]", OutsideRepository),
            ("replacements: [{path: ../../x}]", OutsideRepository),
            ("components: [/etc]", OutsideRepository),
            ("transformers: [../plugin-out.yaml]", OutsideRepository),
            ("transformers: [\"kind: PatchTransformer\\npath: /etc/hostname\\n\"]", OutsideRepository),
            ("re\u{17f}ources: [/etc/hostname]", OutsideRepository),
            ("resources: [\"file:///x//y?ref=--upload-pack=id\"]", RefusedAddress),
            ("patches: [{path: \"http://127.0.0.1/x\"}]", RefusedAddress),
            ("transformers: [\"kind: PatchTransformer\\npath: https://x.test/a\\n\"]", RefusedAddress),
            ("transformers: [\"https://x.test/v1.0.0/a.yaml\"]", RefusedAddress),
            ("helmCharts: [{name: x}]", UnbuildableKustomization),
            ("resources: [", UnbuildableKustomization),
            ("patches: [{patch: \"a: &a [*a]\\n\"}]", ExcessiveInput),
        ];
        for (kustomization, kind) in table {
            let problem = gathered(kustomization).unwrap_err();
            let place =
                problem.failure.location.clone().unwrap_or_else(|| panic!("{kustomization} {problem:?}"));
            assert_eq!(
                (problem.kind, place.file.as_path()),
                (kind, Path::new("a/kustomization.yaml")),
                "{kustomization}"
            );
        }
        let place =
            gathered("# first\nresources:\n- here.yaml\n- ../../x\n").unwrap_err().failure.location.unwrap();
        assert_eq!((place.line, place.column), (4, 3));
    }
}

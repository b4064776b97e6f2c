//! What is no ordinary file, in every place where one is read.

use std::path::PathBuf;

use crate::input::{APP, CONFIG, Content, Input, MANIFEST, PARTS, READ, SETTINGS, TASKS};
use crate::world::World;

const PLACES: [&str; 7] =
    [APP, MANIFEST, CONFIG, TASKS, SETTINGS, PARTS, "kubernetes/clusters/home/kustomization.yaml"];

const GIB: u64 = 1024 * 1024 * 1024;

fn contents() -> Vec<(&'static str, Content)> {
    let link = |to: &str| Content::Link(PathBuf::from(to));
    vec![
        ("a pipe that nobody writes to", Content::Fifo),
        ("endless zeros", link("/dev/zero")),
        ("endless noise", link("/dev/urandom")),
        ("a terminal", link("/dev/tty")),
        ("a link to itself", link("app.yaml")),
        ("a link to nothing", link("nowhere")),
        ("a link to its folder", link(".")),
        ("a folder", Content::Folder),
        ("8 GiB of nothing", Content::Sparse(8 * GIB)),
        ("no UTF-8", Content::Bytes(vec![0xff, 0xfe, 0, 0x80])),
        ("zeros", Content::Bytes(vec![0; 4096])),
        ("one long line", Content::Bytes(vec![b'a'; 8 * 1024 * 1024])),
    ]
}

pub(crate) fn inputs(world: &World) -> Vec<Input> {
    let mut inputs = Vec::new();
    for place in PLACES {
        for (what, content) in contents() {
            inputs.push(Input::new(format!("{what} as {place}"), place, content).verbs(&[&["validate"]]));
        }
    }
    inputs.extend(generators());
    inputs.extend(trees());
    inputs.extend(git(world));
    inputs
}

/// Files that only a generator names.
fn generators() -> Vec<Input> {
    contents()
        .into_iter()
        .map(|(what, content)| {
            Input::new(format!("{what} for a generator"), "kubernetes/app/data", content)
                .and(APP, Content::Text("configMapGenerator: [{name: x, files: [data]}]\n".into()))
        })
        .collect()
}

/// Folders that do not end.
fn trees() -> Vec<Input> {
    let no_kustomization = || Input::new("", APP, Content::Link("nowhere".into()));
    let named = |name: &str, input: Input| Input { name: name.to_owned(), ..input };
    let mut wide = no_kustomization();
    for number in 0..3000 {
        wide = wide.and(&format!("kubernetes/app/{number}.txt"), Content::Text(String::new()));
    }
    let deep = format!("kubernetes/app/{}x.yaml", "d/".repeat(200));
    let cycle = Input::new("", "kubernetes/app/again", Content::Link("..".into()));
    let mut nested = Input::new("", "kubernetes/app/k0/x", Content::Text(String::new()));
    for number in 0..200 {
        let text = format!("resources: [../k{0}, ../k{0}]\n", number + 1);
        nested = nested.and(&format!("kubernetes/app/k{number}/kustomization.yaml"), Content::Text(text));
    }
    vec![
        named("a folder of thousands", wide),
        named("a folder far down", no_kustomization().and(&deep, Content::Text("a: b\n".into()))),
        named("a folder within itself", cycle.and(APP, Content::Text("resources: [again]\n".into()))),
        named("kustomizations that double", nested.and(APP, Content::Text("resources: [k0]\n".into()))),
        Input::text("a kustomization of itself", APP, "resources: [.]\n"),
        Input::text("a kustomization of what is above it", APP, "resources: [..]\n"),
        Input::text("a kustomization of itself by a detour", APP, "resources: [../app]\n"),
        Input::text("a component of itself", APP, "components: [.]\n"),
    ]
}

/// A git folder that would run something, for whoever asks it.
fn git(world: &World) -> Vec<Input> {
    let run = format!("touch {}", world.set_off().display());
    let head = || Content::Text("ref: refs/heads/main\n".into());
    let of = |name: &str, config: String| {
        Input::text(
            format!("git config: {name}"),
            ".git/config",
            format!("[core]\n\trepositoryformatversion = 0\n{config}"),
        )
        .and(".git/HEAD", head())
        .and(".git/objects/info/x", Content::Text(String::new()))
        .and(".git/refs/heads/x", Content::Text(String::new()))
        .verbs(READ)
    };
    let mut inputs: Vec<Input> = [
        format!("\tfsmonitor = {run}\n"),
        format!("\tsshCommand = {run}\n"),
        format!("\tpager = {run}\n"),
        format!("\teditor = {run}\n"),
        format!("\taskPass = {run}\n"),
        format!("\tgitProxy = {run}\n"),
        format!("\talternateRefsCommand = {run}\n"),
        "\thooksPath = hooks\n".to_owned(),
        format!("[credential]\n\thelper = !{run}\n"),
        format!("[alias]\n\tstatus = !{run}\n\trev-parse = !{run}\n"),
        format!("[filter \"x\"]\n\tclean = {run}\n\tsmudge = {run}\n\tprocess = {run}\n"),
        format!("[diff]\n\texternal = {run}\n"),
        format!("[include]\n\tpath = {}\n", world.outside().join("stolen.yaml").display()),
        "[core]\n\tworktree = /\n".to_owned(),
        format!("[uploadpack]\n\tpackObjectsHook = {run}\n"),
        format!(
            "[remote \"origin\"]\n\turl = ext::{run}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n"
        ),
    ]
    .into_iter()
    .map(|config| {
        of(config.trim(), config.clone()).and(".gitattributes", Content::Text("* filter=x diff=x\n".into()))
    })
    .collect();
    for (name, place) in [("a bare repository", ""), ("a bare repository in a folder", "kubernetes/")] {
        let at = |file: &str| format!("{place}{file}");
        inputs.push(
            Input::text(
                name,
                &at("config"),
                format!("[core]\n\tbare = true\n\tworktree = .\n\tfsmonitor = {run}\n"),
            )
            .and(&at("HEAD"), head())
            .and(&at("objects/x"), Content::Text(String::new()))
            .and(&at("refs/x"), Content::Text(String::new())),
        );
    }
    inputs.push(Input::text(
        "a .git that is elsewhere",
        ".git",
        format!("gitdir: {}\n", world.outside().display()),
    ));
    inputs.push(Input::new("a .git that is a pipe", ".git", Content::Fifo));
    inputs
}

//! The processes of a sandbox.

use std::path::Path;
use std::process::Command;

/// Flux's controllers, as far as they are processes.
pub(crate) const CONTROLLERS: [&str; 3] = ["helm-controller", "kustomize-controller", "source-controller"];

/// Processes that carry the mark of a sandbox: id and program.
pub(crate) fn marked_processes(folder: &Path) -> Vec<(u32, String)> {
    let mark = format!("BOOTSTRAPPER_SANDBOX={}", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let marked = |process: std::fs::DirEntry| {
        let read = |file| std::fs::read(process.path().join(file)).ok();
        let has_mark = String::from_utf8_lossy(&read("environ")?).contains(&mark);
        let words = String::from_utf8_lossy(&read("cmdline")?).into_owned();
        let id = process.file_name().to_string_lossy().parse().ok()?;
        has_mark.then(|| (id, words.split('\0').next().unwrap_or_default().to_owned()))
    };
    processes.filter_map(marked).collect()
}

/// Sends a signal to a process.
pub(crate) fn signal(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Kills every process of these programs; which those were, in order.
pub(crate) fn killed(folder: &Path, programs: &[&str]) -> Vec<String> {
    let mut killed = Vec::new();
    for (pid, program) in marked_processes(folder) {
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if programs.contains(&name.as_str()) {
            signal("-KILL", pid);
            killed.push(name);
        }
    }
    killed.sort();
    killed
}

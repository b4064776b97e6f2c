//! Panics are bugs: color-eyre formats a report for an issue. It is masked like all output.

use color_eyre::config::{HookBuilder, Theme};

use super::streams;

/// Installs the panic handler.
pub fn report_panics() {
    // Without colours: they would be treated as foreign escape sequences.
    let Ok((panic_hook, eyre_hook)) = HookBuilder::default().theme(Theme::new()).try_into_hooks() else {
        return;
    };
    let _ = eyre_hook.install();
    std::panic::set_hook(Box::new(move |panic| {
        streams::err(&format!("{}\n", panic_hook.panic_report(panic)));
    }));
}

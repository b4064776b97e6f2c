//! Panics are defects: color-eyre makes their report fit for an issue. It leaves as all text does.

use color_eyre::config::{HookBuilder, Theme};

use super::streams;

/// Has panics reported.
pub fn report_panics() {
    // Colours of the report would be taken for others' escape sequences.
    let Ok((panic_hook, eyre_hook)) = HookBuilder::default().theme(Theme::new()).try_into_hooks() else {
        return;
    };
    let _ = eyre_hook.install();
    std::panic::set_hook(Box::new(move |panic| {
        streams::err(&format!("{}\n", panic_hook.panic_report(panic)));
    }));
}

//! The board, drawn on a terminal ten times a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use super::Forecast;
use super::board::Board;
use super::view::view;
use super::words::colour;
use bootstrapper_core::output::{self, paint};
use bootstrapper_engine::Event;

pub(super) async fn render(mut events: UnboundedReceiver<Event>, forecast: Forecast) {
    let mut board = Board { forecast, ..Board::default() };
    let colour = colour();
    // One bar with many lines: indicatif then replaces the whole board in one write, without flicker.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => board.fold(&event),
                None => break,
            },
            _ = tick.tick() => if !board.stages.is_empty() {
                bar.set_message(output::shown(&draw(&board, colour).join("\n")));
                bar.tick();
            },
        }
    }
    // The final board is printed completely, even if it is higher than the terminal.
    bar.finish_and_clear();
    if board.began.is_some() {
        output::err(&format!("{}\n", draw(&board, colour).join("\n")));
    }
}

fn draw(board: &Board, colour: bool) -> Vec<String> {
    let columns = terminal_columns();
    // The last column stays empty: some terminals wrap when it is written.
    let lines = view(board, Timestamp::now(), columns.saturating_sub(1).min(120));
    lines.iter().map(|line| coloured(line, colour)).collect()
}

/// Colours the mark of a stage, and the word `error`.
fn coloured(line: &str, colour: bool) -> String {
    if let Some(rest) = line.strip_prefix("error[") {
        return format!("{}{rest}", paint("error[", "1;31", colour));
    }
    for (mark, code) in [("✓", "32"), ("✗", "1;31"), ("!", "33"), ("·", "2"), ("-", "2")] {
        if let Some(rest) = line.strip_prefix("  ").and_then(|line| line.strip_prefix(mark)) {
            return format!("  {}{rest}", paint(mark, code, colour));
        }
    }
    line.to_owned()
}

fn terminal_columns() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 100,
    }
}

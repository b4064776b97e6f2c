#!/usr/bin/env python3
"""Draws a terminal session as an SVG.

    terminal.py record FILE -- COMMAND…     runs the command in a pseudo-terminal, and writes what it prints, with times
    terminal.py draw FILE SVG AT FIRST TITLE
        draws the screen at a time of the recording, in seconds (or `end`), from the line on that begins with FIRST

The picture of the README, with a sandbox whose programs are built:

    terminal.py record run.jsonl -- bootstrapper infra --sandbox
    terminal.py draw run.jsonl docs/pictures/run.svg 100 'infra  https' 'A run of bootstrapper infra'

Needs Python 3 and nothing else.
"""
import codecs
import fcntl
import html
import json
import os
import pty
import re
import struct
import sys
import termios
import time

COLUMNS, LINES = 104, 30
CHARACTER, LINE = 8.4, 18
COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan", 90: "dim"}
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\]8;;[^\x07\x1b]*(?:\x07|\x1b\\)")


def record(file, command):
    """Runs the command, and returns its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(LINES))
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    start, decoder = time.monotonic(), codecs.getincrementaldecoder("utf-8")("replace")
    with open(file, "w", encoding="utf-8") as out:
        while True:
            try:
                read = os.read(terminal, 65536)
            except OSError:
                break
            if not read:
                break
            out.write(json.dumps([round(time.monotonic() - start, 3), decoder.decode(read)]) + "\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Screen:
    """A terminal with what indicatif and the program use: colours, cursor movement, erasing, scrolling."""

    def __init__(self):
        self.rows, self.row, self.column, self.style = [[]], 0, 0, ()

    def write(self, text):
        at = 0
        while at < len(text):
            escape = ESCAPE.match(text, at)
            if escape:
                at = escape.end()
                if escape.group(2):
                    self.escape(escape.group(1), escape.group(2))
                continue
            self.character(text[at])
            at += 1

    def character(self, character):
        if character == "\n":
            self.row += 1
        elif character == "\r":
            self.column = 0
        elif character >= " ":
            if self.column >= COLUMNS:
                self.row, self.column = self.row + 1, 0
            line = self.line()
            line.extend([(" ", ())] * (self.column + 1 - len(line)))
            line[self.column] = (character, self.style)
            self.column += 1

    def line(self):
        while len(self.rows) <= self.row:
            self.rows.append([])
        return self.rows[self.row]

    def escape(self, parameters, kind):
        numbers = [int(number) for number in parameters.strip("?").split(";") if number] or [0]
        count = max(numbers[0], 1)
        if kind == "A":
            self.row = max(self.row - count, 0)
        elif kind == "B":
            self.row += count
        elif kind == "C":
            self.column += count
        elif kind == "D":
            self.column = max(self.column - count, 0)
        elif kind == "G":
            self.column = count - 1
        elif kind == "K":
            line = self.line()
            if numbers[0] == 0:
                del line[self.column:]
            elif numbers[0] == 2:
                line.clear()
        elif kind == "J" and numbers[0] == 0:
            del self.line()[self.column:]
            del self.rows[self.row + 1:]
        elif kind == "m":
            for number in numbers:
                self.style = () if number == 0 else (*self.style, number)

    def shown(self, first):
        """The last lines, from the one on that begins with `first`, without empty ones at the end."""
        rows = list(self.rows)
        while rows and not any(character.strip() for character, _ in rows[-1]):
            rows.pop()
        texts = ["".join(character for character, _ in row) for row in rows]
        starts = [at for at, text in enumerate(texts) if text.startswith(first)]
        return rows[starts[-1] if starts else 0 :][-LINES:]


def classes(style):
    names = ["bold"] if 1 in style else []
    names += ["dim"] if 2 in style else []
    return " ".join(names + [COLOURS[number] for number in style if number in COLOURS])


def line_of(row):
    """Runs of one style, as spans."""
    runs = []
    for character, style in row:
        if runs and runs[-1][1] == style:
            runs[-1][0] += character
        else:
            runs.append([character, style])
    spans = [f'<tspan class="{classes(style)}">{html.escape(text)}</tspan>' for text, style in runs]
    return "".join(spans)


def draw(file, picture, moment, first, title):
    screen, said = Screen(), ""
    with open(file, encoding="utf-8") as recording:
        for at, text in map(json.loads, recording):
            if moment == "end" or at <= float(moment):
                # A read may end within an escape sequence.
                said += text
    screen.write(said)
    rows = screen.shown(first)
    width, height = COLUMNS * CHARACTER + 32, len(rows) * LINE + 60
    lines = [f'<text x="16" y="{52 + at * LINE}">{line_of(row)}</text>' for at, row in enumerate(rows)]
    with open(picture, "w", encoding="utf-8") as out:
        out.write(f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>{html.escape(title)}</title>
<style>
rect {{ fill: #ffffff; stroke: #d0d7de }} circle {{ fill: #d0d7de }}
text {{ font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }}
.bold {{ font-weight: bold }} .dim {{ fill: #656d76 }} .red {{ fill: #cf222e }} .green {{ fill: #1a7f37 }}
.yellow {{ fill: #9a6700 }} .blue {{ fill: #0969da }} .magenta {{ fill: #8250df }} .cyan {{ fill: #1b7c83 }}
@media (prefers-color-scheme: dark) {{
rect {{ fill: #0d1117; stroke: #30363d }} circle {{ fill: #30363d }} text {{ fill: #e6edf3 }} .dim {{ fill: #7d8590 }} .red {{ fill: #ff7b72 }}
.green {{ fill: #3fb950 }} .yellow {{ fill: #d29922 }} .blue {{ fill: #58a6ff }} .magenta {{ fill: #bc8cff }} .cyan {{ fill: #39c5cf }}
}}
</style>
<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8"/>
<circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/><circle cx="60" cy="18" r="6"/>
{chr(10).join(lines)}
</svg>
""")


def main():
    match sys.argv[1:]:
        case ["record", file, "--", *command] if command:
            sys.exit(record(file, command))
        case ["draw", file, picture, moment, first, title]:
            draw(file, picture, moment, first, title)
        case _:
            sys.exit(__doc__)


main()

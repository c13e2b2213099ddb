#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of zbq top, as SVG: of a real run, in a terminal of tmux's.

picture.py ZBQ OUT.svg: the rings, one of them held back by a reader that is stopped, and the readers
of that one. Others' rings are kept out by a network namespace, where one can be had.
"""
import html
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS, ROWS = 96, 10
CELL, LINE, EDGE = 8.4, 19, 14
DEADLINE = 120
COLOURS = {None: '#d0d4da', 31: '#ff6b68', 36: '#5ccfe6'}
GROUND, FAINT = '#1d2127', '#7d8590'


class Scene:
    """Processes, which end with it."""

    def __init__(self, zbq):
        self.zbq = zbq
        self.place = Path(tempfile.mkdtemp())
        self.started = []
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': str(self.place), 'TERM': 'screen'}
        self.environment.pop('NO_COLOR', None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self.tmux(), 'kill-server'], check=False, stderr=subprocess.DEVNULL)
        for process in self.started:
            process.kill()
            process.wait()
        shutil.rmtree(self.place)

    def start(self, *arguments, source=os.devnull):
        with open(source, 'rb') as given:
            self.started.append(subprocess.Popen(
                [self.zbq, *arguments], env=self.environment, stdin=given,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.started[-1]

    def tmux(self):
        return ['tmux', '-S', str(self.place / 'tmux'), '-f', os.devnull]

    def open_terminal(self, *command):
        subprocess.run([*self.tmux(), 'new-session', '-d', '-s', 'top', '-x', str(COLUMNS), '-y',
                        str(ROWS), *command], env=self.environment, check=True)

    def press(self, *keys):
        subprocess.run([*self.tmux(), 'send-keys', '-t', 'top', *keys], check=True)

    def screen(self, *options):
        shown = subprocess.run([*self.tmux(), 'capture-pane', '-p', '-t', 'top', *options], check=True,
                               capture_output=True, text=True)
        return shown.stdout.rstrip('\n').split('\n')

    def wait_for(self, *patterns):
        """The screen, with its colours, once all of it is there."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            text = '\n'.join(self.screen())
            if all(re.search(pattern, text, re.M) for pattern in patterns):
                return self.screen('-e')
            time.sleep(0.05)
        raise SystemExit(f'waited in vain for {patterns}; there is\n{text}')

    def wait_for_socket(self, name):
        end = time.monotonic() + DEADLINE
        while not (self.place / 'zbq' / name).is_socket():
            if time.monotonic() > end:
                raise SystemExit(f'nobody publishes {name}')
            time.sleep(0.02)


class Look:
    """What tmux has told so far: a look holds on from line to line."""

    def __init__(self):
        self.colour, self.flags = None, set()

    def take(self, code):
        if code == 0:
            self.colour, self.flags = None, set()
        elif code in (1, 2, 7):
            self.flags.add(code)
        elif code in (22, 27):
            self.flags -= {1, 2} if code == 22 else {7}
        elif code == 39 or code in COLOURS:
            self.colour = None if code == 39 else code

    def runs(self, line):
        """Pieces of one look: text, colour, flags."""
        for escape, text in re.findall(r'\x1b\[([\d;]*)m|([^\x1b]+)', line):
            if text:
                yield text, self.colour, self.flags
            else:
                for code in (escape or '0').split(';'):
                    self.take(int(code))


def draw_line(runs, top):
    at, drawn = 0, []
    for text, colour, flags in runs:
        x, width = EDGE + at * CELL, len(text) * CELL
        fill = FAINT if 2 in flags else COLOURS[colour]
        if 7 in flags:
            drawn.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{LINE}" fill="{fill}"/>')
            fill = GROUND
        if text.strip():
            weight = ' font-weight="bold"' if 1 in flags else ''
            drawn.append(f'<text x="{x:.1f}" y="{top + LINE - 5:.1f}" fill="{fill}"{weight} textLength="{width:.1f}" '
                         f'xml:space="preserve">{html.escape(text)}</text>')
        at += len(text)
    return drawn


def draw(screens):
    width = COLUMNS * CELL + 2 * EDGE
    height = ROWS * LINE + 2 * EDGE
    gap = 12
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} '
             f'{len(screens) * (height + gap) - gap}" font-family="ui-monospace, Menlo, Consolas, '
             'DejaVu Sans Mono, monospace" font-size="14">',
             '<!-- SPDX-License-Identifier: MIT -->',
             '<!-- Made by tools/picture.py: a run of zbq top. -->']
    for number, screen in enumerate(screens):
        top = number * (height + gap)
        drawn.append(f'<rect y="{top}" width="{width:.0f}" height="{height}" rx="8" fill="{GROUND}"/>')
        look = Look()
        for row, line in enumerate(screen):
            drawn += draw_line(look.runs(line), top + EDGE + row * LINE)
    return '\n'.join([*drawn, '</svg>', ''])


def run(zbq, out):
    with Scene(zbq) as scene:
        scene.start('pub', '--chunks', '64K', '--rate', '400', 'camera', source='/dev/zero')
        scene.start('pub', '--chunks', '64', '--rate', '20000', 'quotes', source='/dev/zero')
        scene.start('pub', '--chunks', '1000', '--rate', '2000', '--capacity', '256K',
                    '--stall-timeout', '0', 'log', source='/dev/zero')
        for name in ('camera', 'quotes', 'log'):
            scene.wait_for_socket(name)
        readers = {name: [scene.start('sub', '--quiet', name) for _ in range(count)]
                   for name, count in {'camera': 3, 'quotes': 2, 'log': 2}.items()}
        scene.start('sub', '--quiet', '--follow', 'log')
        scene.open_terminal(zbq, 'top', '--interval', '200ms')
        scene.wait_for(*(rf'^{name} .* {count}/' for name, count in
                         {'camera': 3, 'quotes': 2, 'log': 3}.items()))
        scene.press('s')
        readers['log'][0].send_signal(signal.SIGSTOP)
        readers['quotes'][0].kill()
        rings = scene.wait_for(r'^camera .*/s', r'^log +0 B/s \[#{10}\]', r'^quotes: process .* gone')
        scene.press('/', *'log', 'Enter', 'Home', 'Enter')
        inside = scene.wait_for(r'holds the stream back: .* [3-9]\.\d s$', r'\[#{10}\]', 'observes')
        Path(out).write_text(draw([rings, inside]), encoding='utf-8')


def alone(arguments):
    """In a network namespace of its own, which no others' names are in."""
    way = ['unshare', '--user', '--map-current-user', '--net']
    if os.environ.get('ZBQ_PICTURE_ALONE') or subprocess.run(
            [*way, 'true'], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        return
    os.environ['ZBQ_PICTURE_ALONE'] = 'yes'
    os.execvp(way[0], [*way, sys.executable, *arguments])


if __name__ == '__main__':
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    alone(sys.argv)
    run(os.path.abspath(sys.argv[1]), sys.argv[2])

# SPDX-License-Identifier: MIT
"""Whether the workflows of the forge are of use: each step calls ./dev with a command that there
is, in a container of the system that ./dev is for. workflows.py SOURCE
"""
import re
import subprocess
import sys
from pathlib import Path

try:
    import yaml
except ImportError:
    print('skipped: python3-yaml is not installed')
    sys.exit(77)

MATRIX = '${{ matrix.command }}'


def dev_commands(source):
    usage = subprocess.run([source / 'dev', 'help'], check=True, capture_output=True, text=True)
    return set(re.findall(r'^  ([a-z0-9]+) ', usage.stdout, re.M))


def runs(job):
    """What the job runs, for each value of its matrix."""
    commands = job['strategy']['matrix']['command']
    for step in job['steps']:
        for command in commands if MATRIX in step.get('run', '') else [None]:
            if 'run' in step:
                yield step.get('name'), step['run'].replace(MATRIX, command or '')


def mistakes(text, known):
    called = set()
    for name, job in yaml.safe_load(text)['jobs'].items():
        if job['container']['image'] != 'debian:12':
            yield f'{name} does not run where ./dev works'
        if '--cap-add SYS_PTRACE' not in job['container']['options']:
            yield f'{name} cannot trace'
        for step, run in runs(job):
            call = re.fullmatch(r'\./dev ([a-z0-9]+)( --[a-z]+)*', run)
            if step != 'git' and (call is None or call[1] not in known):
                yield f'{name} runs {run}, which ./dev help does not list'
            called |= {call[1]} if call else set()
    if not called:
        yield 'nothing calls ./dev'


def main():
    source = Path(sys.argv[1])
    known = dev_commands(source)
    workflows = sorted(source.glob('.github/workflows/*.yml'))
    bad = [f'{path.name}: {mistake}' for path in workflows
           for mistake in mistakes(path.read_text(encoding='utf-8'), known)]
    first = workflows[0].read_text(encoding='utf-8')
    broken = [first.replace('debian:12', 'debian:11'), first.replace('[test', '[tset'),
              first.replace('- run: ./dev', '- run: make'), first.replace('SYS_PTRACE', 'NONE')]
    for text in broken:
        if not list(mistakes(text, known)):
            bad.append('a mistake is not found')
    print(*bad, sep='\n')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())

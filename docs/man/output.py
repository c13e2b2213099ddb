# SPDX-License-Identifier: MIT
"""A directory of compressed pages, the same bytes each time."""
import gzip
import shutil


class Directory:
    def __init__(self, path):
        """Empties it: no page of yesterday's is left."""
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)

    def write(self, name, lines):
        data = gzip.compress(('\n'.join(lines) + '\n').encode(), 9, mtime=0)
        (self.path / f'{name}.gz').write_bytes(data)

    def link(self, name, to):
        (self.path / f'{name}.gz').symlink_to(f'{to}.gz')

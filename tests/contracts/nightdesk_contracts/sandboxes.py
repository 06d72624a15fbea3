"""What a sandbox promises (`fixloop.Sandbox`): bounds, a channel of its own, nothing left behind. Whether it holds against
attacks is its self-test's to say (`fixloop.sandboxes.probes`)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fixloop import Job, Mount, Sandbox
from fixloop.sandboxes import probes

PYTHON, MOUNTS = probes.own_python()
ECHO = "import os, sys\nfor line in sys.stdin: os.write(int(os.environ['ND_CHANNEL']), line.upper().encode())"


def python(code: str, *arguments: str, mounts: tuple[Mount, ...] = (), **bounds: object) -> Job:
    """A job that runs a script with the interpreter of these tests."""
    return Job(argv=(PYTHON, "-I", "-c", code, *arguments), mounts=(*MOUNTS, *mounts), **bounds)  # type: ignore[arg-type]


class SandboxContract:
    """Give `part`; skip in the fixture where its self-test does not pass on this machine."""

    @pytest.fixture
    def part(self) -> Sandbox:
        raise NotImplementedError

    def test_output_channel_and_exit_code_are_told_apart(self, part: Sandbox) -> None:
        code = (
            "import os, sys; print('out'); print('err', file=sys.stderr)\n"
            "os.write(int(os.environ['ND_CHANNEL']), b'said'); sys.exit(3)"
        )
        result = part.run(python(code))
        assert (result.exit_code, result.stdout, result.stderr, result.channel) == (
            3,
            b"out\n",
            b"err\n",
            b"said",
        )
        assert not result.timed_out
        assert not result.over_output
        assert 0 < result.took < 30

    def test_stdin_arrives_whole_even_when_it_is_larger_than_a_pipe(self, part: Sandbox) -> None:
        result = part.run(python("import sys; print(len(sys.stdin.buffer.read()))"), b"x" * 1_000_000)
        assert result.stdout == b"1000000\n"

    def test_a_job_that_does_not_read_its_stdin_still_ends(self, part: Sandbox) -> None:
        assert part.run(python("print('done')"), b"x" * 1_000_000).stdout == b"done\n"

    def test_mounts_are_readable_at_their_target_although_only_their_owner_may_enter(
        self, part: Sandbox, tmp_path: Path
    ) -> None:
        tmp_path.chmod(0o700)
        (tmp_path / "module.py").write_text("answer = 42\n")
        (tmp_path / "module.py").chmod(0o600)
        job = python(
            "import sys; sys.path.append('/src'); import module; print(module.answer)",
            mounts=(Mount(tmp_path, "/src"),),
        )
        result = part.run(job)
        assert (result.stdout, result.stderr) == (b"42\n", b"")
        assert [entry.name for entry in tmp_path.iterdir()] == ["module.py"]

    def test_a_mount_that_is_a_single_file_and_a_file_given_by_its_content_can_be_read(
        self, part: Sandbox, tmp_path: Path
    ) -> None:
        (tmp_path / "one.txt").write_text("one")
        code = "print(open('/in/one.txt').read(), open('/in/two.txt').read(), open('/tmp/three.txt').read())"
        job = python(
            code,
            mounts=(Mount(tmp_path / "one.txt", "/in/one.txt"),),
            files={"/in/two.txt": b"two", "/tmp/three.txt": b"three"},
        )
        assert part.run(job).stdout == b"one two three\n"

    def test_only_the_given_environment_and_the_documented_defaults_are_there(self, part: Sandbox) -> None:
        result = part.run(python("import os; print(sorted(os.environ))", env={"COLOUR": "blue"}))
        defaults = {"HOME", "LANG", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "TZ"}
        assert result.stdout.decode().strip() == str(sorted(defaults | {"COLOUR", "ND_CHANNEL"}))

    def test_multiprocessing_threads_and_local_sockets_work(self, part: Sandbox) -> None:
        code = (
            "import multiprocessing, socket, threading\n"
            "multiprocessing.Lock(); t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
            "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())\n"
            "print('local')"
        )
        assert part.run(python(code)).stdout == b"thread\nlocal\n"

    def test_a_job_over_its_wall_limit_is_killed_and_has_no_exit_code(self, part: Sandbox) -> None:
        started = time.monotonic()
        result = part.run(python("print('here', flush=True); import time; time.sleep(60)", wall=0.7))
        assert result.timed_out
        assert result.exit_code is None
        assert result.stdout == b"here\n"
        assert time.monotonic() - started < 10

    def test_a_job_that_closes_its_output_is_still_held_to_the_wall_limit(self, part: Sandbox) -> None:
        result = part.run(python("import os, time\nos.closerange(0, 64)\ntime.sleep(60)", wall=0.7))
        assert result.timed_out

    def test_too_much_output_is_cut_at_the_limit(self, part: Sandbox) -> None:
        result = part.run(python("while True: print('x' * 1000)", output=50_000))
        assert result.over_output
        assert result.exit_code is None
        assert len(result.stdout) + len(result.stderr) + len(result.channel) <= 50_000

    def test_processor_time_is_bounded(self, part: Sandbox) -> None:
        result = part.run(python("while True: pass", cpu=1, wall=30.0))
        assert not result.timed_out
        assert result.exit_code not in (0, None)

    def test_a_session_answers_line_by_line(self, part: Sandbox) -> None:
        with part.open(python(ECHO)) as session:
            assert session.ask(b"one", wall=10) == b"ONE"
            assert session.ask(b"two\n", wall=10) == b"TWO"

    def test_a_session_takes_lines_larger_than_a_pipe(self, part: Sandbox) -> None:
        with part.open(python(ECHO)) as session:
            assert session.ask(b"x" * 500_000, wall=20) == b"X" * 500_000

    def test_a_session_that_does_not_answer_in_time_is_over(self, part: Sandbox) -> None:
        with part.open(python("import time; time.sleep(60)")) as session:
            assert session.ask(b"one", wall=0.5) is None
            assert session.ask(b"two", wall=10) is None

    def test_a_session_whose_job_dies_answers_none_and_keeps_what_it_printed(self, part: Sandbox) -> None:
        with part.open(python("import sys; sys.stdin.readline(); sys.exit('no more')")) as session:
            assert session.ask(b"one", wall=20) is None
            assert session.stderr() == b"no more\n"

    def test_a_session_is_held_to_the_wall_limit_of_its_job(self, part: Sandbox) -> None:
        with part.open(
            python(ECHO + "\n  if 'stay' in line: __import__('time').sleep(60)", wall=1.0)
        ) as session:
            assert session.ask(b"one", wall=30) in (b"ONE", None)
            assert session.ask(b"stay", wall=30) in (b"STAY", None)
            assert session.ask(b"two", wall=30) is None

    def test_a_command_that_does_not_exist_is_a_result_and_not_an_exception(self, part: Sandbox) -> None:
        result = part.run(Job(argv=("/no/such/command",)))
        assert result.exit_code == 127
        assert b"/no/such/command" in result.stderr

    def test_no_descriptor_is_left_open_after_a_run(self, part: Sandbox) -> None:
        part.run(python("pass"))
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            part.run(python("import time; time.sleep(9)", wall=0.2))
            part.open(python(ECHO)).close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before

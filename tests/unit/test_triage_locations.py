"""Container paths to repository files, over several languages and repositories with files of the same name."""

from __future__ import annotations

import pytest

from bench.location import outcomes
from server.knowing.sources import present_names
from triage.paths import installed, is_named, normal, of_class, spellings

OUTCOMES = outcomes()


def test_the_corpus_is_as_large_and_as_mixed_as_it_is_said_to_be():
    assert len(OUTCOMES) >= 60
    assert len({one.language for one in OUTCOMES}) >= 5


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: one.id)
def test_a_container_path_is_found_or_rightly_nowhere_or_said_to_be_ambiguous(outcome):
    assert outcome.said == outcome.wanted


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("webpack:///./src/a.ts", "src/a.ts"),
        ("webpack-internal:///(ssr)/./src/a.ts", "src/a.ts"),
        ("https://shop.example/static/a.js?v=3", "static/a.js"),
        ("C:\\build\\src\\A.cs", "/build/src/A.cs"),
        ("/app/./x//y.py", "/app/x/y.py"),
    ],
)
def test_an_address_of_a_bundler_or_another_system_becomes_a_plain_path(sent, path):
    assert normal(sent) == path


@pytest.mark.parametrize(
    ("path", "package", "rest"),
    [
        ("/usr/lib/python3/dist-packages/yaml/reader.py", "yaml", "yaml/reader.py"),
        ("/app/node_modules/@acme/ui/dist/index.js", "@acme/ui", "dist/index.js"),
        ("/app/node_modules/.pnpm/a@1.0.0/node_modules/a/index.js", "a", "index.js"),
        ("/go/pkg/mod/github.com/acme/lib@v1.2.3/x.go", "github.com/acme/lib", "x.go"),
        ("/usr/local/bundle/gems/rack-3.0.8/lib/rack.rb", "rack", "lib/rack.rb"),
        ("/var/www/vendor/symfony/console/Command.php", "symfony/console", "Command.php"),
    ],
)
def test_a_file_of_an_installed_package_is_told_by_its_package_manager(path, package, rest):
    found = installed(path)
    assert found is not None
    assert (found.package, found.rest) == (package, rest)


def test_a_class_gives_the_path_that_a_stack_of_the_jvm_leaves_out():
    assert of_class("com.acme.Cart$Line", "Cart.java") == "com/acme/Cart.java"
    assert of_class("com.acme.Cart", "src/Cart.java") is None
    assert spellings("dist/a.js")[:2] == ("dist/a.js", "dist/a.ts")
    assert is_named("@acme/price-list", "price_list")


def test_a_former_name_means_the_nearest_one_that_is_there_later_names_first():
    steps = [("a.py", "b.py"), ("b.py", "c.py"), ("x.py", "a.py"), ("gone.py", "lost.py")]
    assert present_names(steps, {"c.py"}) == {"a.py": "c.py", "b.py": "c.py", "x.py": "c.py"}
    assert present_names(steps, {"x.py"})["c.py"] == "x.py"
    assert present_names([("a.py", "b.py"), ("b.py", "a.py")], {"other.py"}) == {}

import sys

import pytest
import torch

from unmix import plugins


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package, and a module beside it, in the working directory; undone afterwards."""
    folder = tmp_path / "a_users_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "model.py").write_text("class Model:\n    @classmethod\n    def make(cls):\n        return cls()\n")
    (folder / "broken.py").write_text("import something_that_is_not_installed\n")
    (tmp_path / "a_users_module.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "a_users_package"
    for name in [name for name in sys.modules if name.startswith("a_users_")]:
        del sys.modules[name]


def test_no_plugins_are_none():
    assert plugins.check(None) == plugins.check([]) == ()


def test_a_package_in_the_working_directory_is_found(package):
    assert plugins.check([package]) == plugins.check(package) == (package,)
    assert plugins.locate(f"{package}.model.Model", "model", [package]).__name__ == "Model"


def test_a_package_anywhere_else_is_found_where_python_looks(package):
    assert plugins.check(["json"]) == ("json",)


def test_an_attribute_of_a_class_is_found(package):
    plugins.check([package])
    make = plugins.locate(f"{package}.model.Model.make", "model", [package])
    assert type(make()).__name__ == "Model"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["no_such_package"], "plugins: there is no package 'no_such_package' in the working directory, on PYTHONPATH"),
        (
            ["a_users_module"],
            "plugins: 'a_users_module' is a module, not a package: move it into a folder",
        ),
        (["a-package"], "plugins: got 'a-package', names of packages are needed, as plugins=[my_package]"),
        ([""], "plugins: got '', names of packages are needed"),
        ([3], "plugins: got 3, names of packages are needed"),
        (["no_such_package.inner"], "plugins: 'no_such_package.inner' cannot be imported: No module named"),
    ],
)
def test_what_is_not_a_package_is_refused(package, names, message):
    with pytest.raises(ValueError) as error:
        plugins.check(names)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "subprocess.Popen",
            "model: got the class 'subprocess.Popen', allowed are those of unmix, a_users_package",
        ),
        ("a_users_package_2.Model", "add 'plugins=[a_users_package_2]'"),
        ("torchvision.models.vgg", "add 'plugins=[torchvision]'"),
        ("builtins.eval", "got the class 'builtins.eval'"),
        ("eval", "got the class 'eval'"),
        (None, "got the class 'None'"),
        ("a_users_package.model.Net", "model: there is no 'a_users_package.model.Net' (module"),
        ("a_users_package.net.Net", "model: there is no 'a_users_package.net.Net' ("),
        ("a_users_package.broken.Net", "model: there is no 'a_users_package.broken.Net' (No module named 'something_"),
    ],
)
def test_a_class_that_may_not_be_named_is_refused(package, target, message):
    plugins.check([package])
    with pytest.raises(ValueError) as error:
        plugins.locate(target, "model", [package])
    assert message in str(error.value)


def test_classes_of_this_project_and_its_libraries_need_no_plugin():
    assert plugins.locate("torch.optim.Adam", "optimizer", ()) is torch.optim.Adam
    assert plugins.is_allowed("unmix.models.open_unmix.UMX", ())
    assert not plugins.is_allowed("unmix_2.models.UMX", ())
    assert not plugins.is_plugin("unmix.models.open_unmix.UMX")
    assert plugins.is_plugin("a_users_package.model.Model")

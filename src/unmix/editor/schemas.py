"""All schemas: one for each command and each group of conf/.

Keys are those of `unmix.schema` and of the signatures of the classes that conf/ names, values those that `settings`
allows, and explanations the comments that --help shows. A value may always be an interpolation.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass

from hydra.conf import HydraConf

from unmix import config_checks, schema, usage
from unmix.composition import CONF
from unmix.editor.classes import arguments, closed, explained, of_dataclass
from unmix.editor.conf_files import ConfFiles, files, group_of, name_of
from unmix.editor.values import OPEN, Schema, any_of, of_check
from unmix.settings import TABLES

DRAFT = "http://json-schema.org/draft-07/schema#"  # which editors know best
HYDRA = "hydra"
_OBJECT: Schema = {"type": "object"}
_STRING: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_DEFAULTS: Schema = {
    "description": "files that this one is based on, and the file of each group",
    "type": "array",
    "items": {"type": ["string", "object"], "maxProperties": 1},
}
# Keys of Hydra's instantiate.
_OF_HYDRA: dict[str, Schema] = {
    "_target_": _STRING,
    "_partial_": _FLAG,
    "_convert_": {"enum": ["none", "partial", "object", "all"]},
    "_recursive_": _FLAG,
}
# Files that are neither of a command nor of a group of ours: Python's logging, and W&B's sweeps.
_OTHERS: dict[str, dict[str, Schema]] = {
    "hydra_job_logging": {
        "version": {"enum": [1]},
        **dict.fromkeys(("formatters", "filters", "handlers", "loggers", "root"), _OBJECT),
        **dict.fromkeys(("incremental", "disable_existing_loggers"), _FLAG),
    },
    "wandb": {
        **dict.fromkeys(("program", "project", "entity", "name", "description"), _STRING),
        "method": {"enum": ["bayes", "grid", "random"]},
        **dict.fromkeys(("metric", "parameters", "early_terminate"), _OBJECT),
        "command": {"type": "array", "items": _STRING},
        "run_cap": {"type": "integer", "minimum": 1},
    },
}


def build() -> dict[str, Schema]:
    """Make all schemas, by name; imports every class that conf/ names."""
    conf = ConfFiles()
    names = {name_of(path): group_of(path) for path in files() if not usage.read_file(path).is_recipe}
    names[HYDRA] = HYDRA  # a node of every command
    return {name: _Writer(conf).schema(name, group) for name, group in sorted(names.items())}


class _Writer:
    """Writes one schema; `definitions` are the classes that its nodes name."""

    def __init__(self, conf: ConfFiles) -> None:
        self.conf = conf
        self.definitions: dict[str, Schema] = {}

    def schema(self, name: str, group: str) -> Schema:
        """Make the schema of a command, or of the files of a group."""
        if name in schema.SCHEMAS:
            about = usage.description(name)[0]
            body = closed({**self._command(name), HYDRA: {"$ref": f"{HYDRA}.json"}, "defaults": _DEFAULTS})
        elif name == HYDRA:
            about, body = "Hydra's own settings", self._hydra()
        elif name in _OTHERS:
            about, body = "", closed(_OTHERS[name])
        else:
            about, body = ", ".join(usage.options(group.replace(".", "/"))), self._group(group)
        definitions = {key: self.definitions[key] for key in sorted(self.definitions)}
        about = f"{name.replace('_', '/')}: {about}".removesuffix(": ")
        return {"$schema": DRAFT, "description": about, **body, "definitions": definitions}

    def _command(self, name: str) -> dict[str, Schema]:
        checked = {**TABLES[""], **config_checks.COMMANDS.get(name, {})}
        comments = usage.read_file(CONF / f"{name}.yaml").comments  # one key may mean different things in two commands
        properties = {}
        for field in fields(schema.SCHEMAS[name]):
            if is_dataclass(field.type):
                value = self._table(field.name)
            elif (CONF / field.name).is_dir():
                value = {"$ref": f"{field.name}.json"}
            else:
                value = any_of(of_check(checked[field.name]), OPEN)
            properties[field.name] = explained(value, comments.get(field.name, ""))
        return properties

    def _group(self, group: str) -> Schema:
        if group in self.conf.targets:
            return self._node(self.conf.targets[group], is_root=True)
        if group in TABLES:
            return self._table(group)
        named = {key: self._at(f"{group}.{key}") for key in self.conf.children(group)}
        every = sorted({target for key in named for target in self.conf.targets[f"{group}.{key}"]})
        return {**closed({**named, "defaults": _DEFAULTS}), "additionalProperties": self._node(every)}

    def _table(self, node: str) -> Schema:
        """Schema of a node whose keys are those of a table of `settings`."""
        comments = self.conf.comments
        return closed(
            {
                key: explained(any_of(of_check(check), OPEN), comments.get(f"{node}.{key}", ""))
                for key, check in TABLES[node].items()
            }
        )

    def _hydra(self) -> Schema:
        """Schema of Hydra's own node, of which our launchers and sweepers are parts."""
        sweeper, launcher = (self._node(self.conf.targets[f"hydra.{name}"]) for name in ("sweeper", "launcher"))
        basic = closed({"params": _OBJECT, "max_batch_size": {"type": ["integer", "null"]}})
        return closed({**of_dataclass(HydraConf), "sweeper": any_of(sweeper, basic), "launcher": launcher})

    def _at(self, path: str) -> Schema:
        return explained(self._node(self.conf.targets[path]), self.conf.comments.get(path, ""))

    def _node(self, targets: Sequence[str], *, is_root: bool = False) -> Schema:
        """Schema of a node: its keys are those of the class that its _target_ names.

        Without a _target_, as in files that are based on others, they are those of one of these classes; those of a
        class that is not among them are not checked.
        """
        for target in targets:
            self._define(target, is_root=is_root)
        classes = {target: {"$ref": f"#/definitions/{target}"} for target in targets}
        conditions = [
            {"if": {"required": ["_target_"], "properties": {"_target_": {"const": target}}}, "then": of_class}
            for target, of_class in classes.items()
        ]
        without = {"if": {"not": {"required": ["_target_"]}}, "then": any_of(*classes.values())}
        return {
            "type": ["object", "null", "string"],
            "pattern": OPEN["pattern"],  # of the string
            "properties": {"_target_": {"anyOf": [{"enum": list(targets)}, _STRING]}},
            "allOf": [*conditions, without],
        }

    def _define(self, target: str, *, is_root: bool) -> None:
        """Add the definition of a class, and of those that stand at its keys."""
        if target in self.definitions:
            return
        self.definitions[target] = {}  # ends the recursion of a class within itself
        known = self.conf.keys[target]
        properties = arguments(target, known)
        for key in [*known, *properties]:
            if within := self.conf.within(target, key):
                properties[key] = self._node(within)
        properties = {key: explained(value, known.get(key, "")) for key, value in sorted(properties.items())}
        defaults = {"defaults": _DEFAULTS} if is_root else {}
        self.definitions[target] = closed({**_OF_HYDRA, **properties, **defaults})
        del self.definitions[target]["type"]  # which is that of the node, an interpolation among others

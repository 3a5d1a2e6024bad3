//! The table of codes that composition uses: errors and hints, as users and their tools know them.
//!
//! The level of a hint comes from here; `docs/composition-codes.md` is generated from it by a test.

mod errors;

pub use errors::ERRORS;

use crate::diagnostics::Level;

/// The level of a hint.
pub(crate) fn hint_level(code: &str) -> Level {
    HINTS.iter().find(|(other, ..)| *other == code).map_or(Level::Info, |(_, level, _)| *level)
}

/// Hints: code, level, meaning.
pub const HINTS: [(&str, Level, &str); 28] = [
    (
        "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS",
        Level::Info,
        "A nullable argument is left out because a context fills it in another subgraph.",
    ),
    ("DIRECTIVE_COMPOSITION_INFO", Level::Info, "A remark about a composed custom directive."),
    (
        "DIRECTIVE_COMPOSITION_WARN",
        Level::Warn,
        "A composed custom directive is imported under another name in a subgraph that does not compose it.",
    ),
    ("FROM_SUBGRAPH_DOES_NOT_EXIST", Level::Warn, "`@override(from:)` names a subgraph that does not exist."),
    (
        "IMPLICITLY_UPGRADED_FEDERATION_VERSION",
        Level::Info,
        "A linked specification needs a newer federation version than the subgraph links.",
    ),
    ("INCONSISTENT_ARGUMENT_PRESENCE", Level::Warn, "An optional argument is left out because some subgraph does not have it."),
    ("INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE", Level::Info, "Types of an argument differ; the strictest is used."),
    ("INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE", Level::Info, "Types of a field differ; the most general is used."),
    ("INCONSISTENT_DEFAULT_VALUE_PRESENCE", Level::Warn, "A default is dropped because some subgraph does not have it."),
    ("INCONSISTENT_DESCRIPTION", Level::Warn, "Descriptions differ; the most frequent is used."),
    ("INCONSISTENT_ENTITY", Level::Info, "A type has a `@key` in some subgraphs only."),
    (
        "INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM",
        Level::Warn,
        "A value of an input enum is left out because some subgraph does not have it.",
    ),
    ("INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM", Level::Debug, "A value of an output enum is in some subgraphs only."),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS",
        Level::Warn,
        "Locations of an executable directive differ; the common ones are used.",
    ),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE",
        Level::Warn,
        "An executable directive is left out because some subgraph does not define it.",
    ),
    (
        "INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE",
        Level::Warn,
        "An executable directive is repeatable in some subgraphs only, so it is not in the supergraph.",
    ),
    (
        "INCONSISTENT_INPUT_OBJECT_FIELD",
        Level::Warn,
        "An optional input field is left out because some subgraph does not have it.",
    ),
    ("INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD", Level::Debug, "A field of an interface without keys is in some subgraphs only."),
    (
        "INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS",
        Level::Warn,
        "Applications of a directive differ; the most frequent is used.",
    ),
    ("INCONSISTENT_OBJECT_VALUE_TYPE_FIELD", Level::Debug, "A field of an object without keys is in some subgraphs only."),
    (
        "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN",
        Level::Warn,
        "A shared field can return different types in different subgraphs.",
    ),
    ("INCONSISTENT_UNION_MEMBER", Level::Debug, "A member of a union is in some subgraphs only."),
    (
        "MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS",
        Level::Info,
        "Arguments of a directive differ and are merged by their strategy.",
    ),
    (
        "NO_EXECUTABLE_DIRECTIVE_INTERSECTION",
        Level::Warn,
        "An executable directive is left out because its definitions have no location in common.",
    ),
    ("OVERRIDDEN_FIELD_CAN_BE_REMOVED", Level::Info, "A definition is overridden by another subgraph."),
    ("OVERRIDE_DIRECTIVE_CAN_BE_REMOVED", Level::Info, "`@override` has nothing to override."),
    ("OVERRIDE_MIGRATION_IN_PROGRESS", Level::Info, "A field is moving between subgraphs under a label."),
    ("UNUSED_ENUM_TYPE", Level::Debug, "An enum is used nowhere."),
];

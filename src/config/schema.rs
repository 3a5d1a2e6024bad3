//! The JSON Schema of `router.yaml`, generated from the types that read it: what editors complete and `config schema` prints.

use schemars::{Schema, generate::SchemaSettings};

use super::Config;

/// The schema.
pub fn schema() -> Schema {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>();
    schema.insert("title".into(), "router.yaml of Supergate".into());
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_block() {
        let schema = schema();
        let Some(blocks) = schema.get("properties").and_then(|properties| properties.as_object()) else {
            unreachable!("the configuration is an object")
        };
        assert!(blocks.len() > 20);
        for (name, block) in blocks {
            assert!(block.get("description").is_some(), "{name} has no description");
        }
    }
}

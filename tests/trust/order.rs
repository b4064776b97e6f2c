//! Nothing starts unless all it depends on let it.

//! Nets and the mathematics around them: tensors in, tensors out.

// Package controllers stands in for the package of the same path, whose module is not published:
// the Cilium operator uses one constant of it.
package controllers

// DerivedServiceAnnotation names the Service that was derived from a ServiceImport.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"

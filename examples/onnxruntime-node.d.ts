// Too large to be installed here: its types are those of onnxruntime-common.
declare module 'onnxruntime-node' {
  export * from 'onnxruntime-common'
}

// Prints where the headers of node-addon-api lie, which both builds ask for: in a clone they are installed, the
// package has a copy.
const { dirname, join } = require('node:path')

function folderOfHeaders() {
  try {
    return dirname(require.resolve('node-addon-api/napi.h'))
  } catch {
    return join(__dirname, '../dist/node-addon-api')
  }
}

process.stdout.write(folderOfHeaders().replaceAll('\\', '/'))

{
  'targets': [
    {
      'target_name': 'gloo',
      'includes': ['../module.gypi'],
      'sources': ['gloo.cpp'],
      'libraries': ['-lgloo'],
    },
  ],
}

{
  'targets': [
    {
      'target_name': 'mpi',
      'includes': ['../module.gypi'],
      'sources': ['mpi.cpp'],
      # The interface of C alone.
      'defines': ['OMPI_SKIP_MPICXX', 'MPICH_SKIP_MPICXX'],
      # Of whatever MPI the system has chosen.
      'cflags_cc': ['<!@(pkg-config --cflags mpi-c)'],
      'libraries': ['<!@(pkg-config --libs mpi-c)'],
    },
  ],
}

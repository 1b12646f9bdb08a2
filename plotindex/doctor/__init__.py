"""What on this machine would hurt, and what mends it. It looks, and changes nothing."""
